-- While a new version takes the place of an old one, each must know which facts the other hears: what only the new one handles, the old one keeps for it.
create table hearing (
  type text primary key,
  topic text not null,
  -- By the database's own clock: when a process last said that it hears these facts.
  seen_at timestamptz not null
);
