-- Who leads what, until when by this server's clock: a leader that freezes loses the lead, and what it does under its old epoch counts for nothing.
create table leaders (
  name text primary key,
  epoch bigint not null,
  holder text not null,
  held_until timestamptz not null,
  -- The session the holder was last heard on: when that is gone, nobody waits for the lease to run out.
  session_pid int not null,
  session_start timestamptz not null
) with (fillfactor = 50);
