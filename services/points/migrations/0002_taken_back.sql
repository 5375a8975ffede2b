-- Points that were earned with money go back with it, and admins can take points back.

alter table ledger drop constraint ledger_kind_check;
alter table ledger add constraint ledger_kind_check
  check (kind in ('granted', 'held', 'released', 'committed', 'returned', 'taken_back'));

-- What was heard of payments of which money went back, also of those whose order has not earned yet: whichever comes first, an order earns on
-- what is kept.
create table refunded_payments (
  payment_id uuid primary key,
  kept_minor_units bigint not null check (kept_minor_units >= 0),
  -- What the order would have earned on all of it; null until it earns.
  earned bigint check (earned >= 0),
  -- Of these, not given or taken back.
  withheld bigint not null default 0 check (withheld >= 0)
);
