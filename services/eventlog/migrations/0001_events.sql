-- Every fact that was ever told, in the order it came, each sealed with the hash of the one before. docs/event-log.md tells what the hashes cover.

-- By the month of writing: what is too old is dropped a month at a time, which needs no right to delete.
create table events (
  sequence bigint not null check (sequence > 0),
  event_id uuid not null,
  type text not null,
  source text not null,
  subject text not null,
  time timestamptz(3) not null,
  recorded_at timestamptz(3) not null,
  traceparent text not null,
  correlation_id text not null,
  -- As found in the body, whatever the subject.
  order_id uuid,
  body bytea not null,
  hash bytea not null check (length(hash) = 32),
  month date not null,
  primary key (sequence, month)
) partition by range (month);
create index events_id on events (event_id);
create index events_order on events (order_id, sequence) where order_id is not null;
create index events_subject on events (subject, sequence);
create index events_type on events (type, sequence);
create index events_time on events (time, sequence);

-- The last event, and the signature over it. Appends take turns on this row.
create table head (
  only_one boolean primary key default true check (only_one),
  sequence bigint not null,
  hash bytea not null check (length(hash) = 32),
  recorded_at timestamptz(3) not null,
  signature bytea not null,
  checkpoint_sequence bigint not null,
  checkpoint_at timestamptz(3) not null
) with (fillfactor = 50);
insert into head (sequence, hash, recorded_at, signature, checkpoint_sequence, checkpoint_at)
values (0, decode(repeat('00', 32), 'hex'), 'epoch', '', 0, 'epoch');

-- Where the chain stood from time to time, signed: who computes hashes anew meets one of these.
create table checkpoints (
  sequence bigint primary key,
  hash bytea not null check (length(hash) = 32),
  recorded_at timestamptz(3) not null,
  signature bytea not null
);

-- Months that were dropped, and the last hash of each: the rest begins there.
create table seals (
  month date primary key,
  sequence bigint not null,
  hash bytea not null check (length(hash) = 32),
  recorded_at timestamptz(3) not null,
  signature bytea not null
);

-- Nobody changes or removes anything. The rights keep this role from it; the triggers keep those too who have more rights.
revoke update, delete, truncate on events, checkpoints, seals from current_user;
create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '% is append-only', tg_table_name;
end $$;
-- For each row: only such a trigger is every month's too.
create trigger events_append_only before update or delete on events for each row execute function refuse_change();
create trigger checkpoints_append_only before update or delete or truncate on checkpoints
  for each statement execute function refuse_change();
create trigger seals_append_only before update or delete or truncate on seals
  for each statement execute function refuse_change();
