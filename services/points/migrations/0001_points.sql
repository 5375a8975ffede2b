-- Who has how many points, what of them is held for which order, and the ledger that proves both.

-- `held` is a part of `balance`: what can be spent is the difference. Half-empty pages: both are rewritten in place.
create table accounts (
  user_id uuid primary key,
  balance bigint not null check (balance >= 0),
  held bigint not null check (held >= 0),
  version bigint not null check (version >= 0),
  check (balance >= held)
) with (fillfactor = 50);

-- The participant's side of the two-phase commit, for ever: a decision that comes again finds what became of its hold.
create table holds (
  hold_id uuid primary key,
  order_id uuid not null,
  user_id uuid not null,
  amount bigint not null check (amount >= 0),
  status text not null check (status in ('HELD', 'COMMITTED', 'RELEASED', 'RETURNED')),
  created_at timestamptz not null,
  updated_at timestamptz not null
);
-- An order takes points once at a time, and pays once.
create unique index holds_open on holds (order_id) where status in ('HELD', 'COMMITTED');
create index holds_order on holds (order_id, hold_id desc);

-- Double entry: a movement is two entries that sum to zero, one of the account it takes from and one of the account it gives to.
-- 'available' and 'held' are the user's; 'issued' and 'spent' are the house's part in the user's movements.
create table ledger (
  movement_id uuid not null,
  account text not null check (account in ('available', 'held', 'issued', 'spent')),
  user_id uuid not null,
  kind text not null check (kind in ('granted', 'held', 'released', 'committed', 'returned')),
  -- The hold, the completed order, or the granting admin and request: with its kind, it moves points once.
  cause_id text not null,
  amount bigint not null check (amount <> 0),
  order_id uuid,
  reason text not null,
  trace_id text not null,
  at timestamptz not null,
  primary key (movement_id, account),
  unique (cause_id, kind, account)
);
create index ledger_user on ledger (user_id, movement_id desc);

create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '% is append-only', tg_table_name;
end $$;
create trigger ledger_append_only before update or delete or truncate on ledger
  for each statement execute function refuse_change();

-- Both entries of a movement come in one statement.
create function refuse_unbalanced() returns trigger language plpgsql as $$
begin
  if exists (select from added group by movement_id having sum(amount) <> 0 or count(*) <> 2) then
    raise exception 'a movement is not two entries that sum to zero';
  end if;
  return null;
end $$;
create trigger ledger_balanced after insert on ledger referencing new table as added
  for each statement execute function refuse_unbalanced();
