-- What is there, what is promised to whom, and the ledger that proves both.

-- Half-empty pages: the two counts of a hot product are rewritten in place.
create table stock_items (
  product_id uuid primary key,
  on_hand int not null,
  reserved int not null check (reserved >= 0),
  version bigint not null check (version >= 0),
  check (on_hand >= reserved)
) with (fillfactor = 50);

-- One per order, for ever: what a later fact about the order finds decides what it does.
create table reservations (
  order_id uuid primary key,
  status text not null check (status in ('RESERVED', 'REJECTED', 'RELEASED', 'COMMITTED')),
  lines jsonb not null check (jsonb_typeof(lines) = 'array'),
  created_at timestamptz not null,
  updated_at timestamptz not null
);

-- Every change of an item, and why. The key makes each cause count once, whatever is delivered again.
-- Summed up to a version, the deltas give the item's counts at that version.
create table stock_ledger (
  product_id uuid not null,
  kind text not null check (kind in ('initial', 'adjusted', 'reserved', 'released', 'committed', 'returned')),
  cause_id text not null,
  version bigint not null check (version > 0),
  on_hand_delta int not null,
  reserved_delta int not null,
  reason text not null,
  trace_id text not null,
  at timestamptz not null,
  primary key (cause_id, product_id, kind)
);

create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '% is append-only', tg_table_name;
end $$;
create trigger stock_ledger_append_only before update or delete or truncate on stock_ledger
  for each statement execute function refuse_change();
