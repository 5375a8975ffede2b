-- Orders can be paid with points: the coordinator's side of the two-phase commit with the points service.

-- The hold that paid the order, and how many points it was; beside payment_id, of which an order has one or the other.
alter table orders add column hold_id uuid;
alter table orders add column points bigint check (points >= 0);
alter table orders add constraint orders_points check ((hold_id is null) = (points is null));
alter table orders add constraint orders_paid_once check (hold_id is null or payment_id is null);

-- The decision log. A hold without a row is undecided, and ABORT as soon as somebody asks.
create table decisions (
  bucket smallint not null,
  order_id uuid not null,
  hold_id uuid not null,
  decision text not null check (decision in ('COMMIT', 'ABORT')),
  decided_at timestamptz not null,
  primary key (order_id, bucket, hold_id),
  check (bucket = bucket_of(order_id))
);
-- An order is paid once.
create unique index decisions_commit on decisions (order_id, bucket) where decision = 'COMMIT';
