-- Orders and what is needed to price them. Every order-scoped table has its bucket in the key, so that buckets can move to other databases one day.

create function bucket_of(id uuid) returns smallint immutable parallel safe
  return ((((get_byte(uuid_send(id), 8) & 15) << 8) | get_byte(uuid_send(id), 9)) >> 6)::smallint;

create table orders (
  bucket smallint not null,
  order_id uuid not null,
  customer_id uuid not null,
  status text not null check (status in ('PENDING', 'PAID', 'COMPLETED', 'CANCELLED')),
  reservation text not null check (reservation in ('AWAITING', 'RESERVED', 'REJECTED', 'RELEASED', 'COMMITTED')),
  currency_code text not null check (currency_code ~ '^[A-Z]{3}$'),
  total_minor_units bigint not null check (total_minor_units >= 0),
  needs_kitchen boolean not null,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  paid_at timestamptz,
  -- The payment that paid it; a second one is money to give back.
  payment_id uuid,
  cancelled_at timestamptz,
  cancel_reason text check (cancel_reason in ('OUT_OF_STOCK', 'EXPIRED', 'CUSTOMER', 'ADMIN')),
  completed_at timestamptz,
  version bigint not null check (version > 0),
  primary key (order_id, bucket),
  check (bucket = bucket_of(order_id)),
  check ((status = 'CANCELLED') = (cancelled_at is not null) and (cancelled_at is null) = (cancel_reason is null)),
  check (status not in ('PAID', 'COMPLETED') or paid_at is not null),
  check ((status = 'COMPLETED') = (completed_at is not null))
);
create index orders_customer on orders (bucket, customer_id, order_id desc);
create index orders_status on orders (status, order_id desc);

create table order_lines (
  bucket smallint not null,
  order_id uuid not null,
  line smallint not null,
  product_id uuid not null,
  name text not null,
  quantity int not null check (quantity between 1 and 100000),
  unit_price_minor_units bigint not null check (unit_price_minor_units >= 0),
  prepared boolean not null,
  primary key (order_id, bucket, line),
  check (bucket = bucket_of(order_id))
);

-- Every move of every order, in the order of its versions.
create table order_history (
  bucket smallint not null,
  order_id uuid not null,
  version bigint not null,
  from_status text,
  to_status text not null,
  cause text not null,
  actor text not null,
  trace_id text not null,
  at timestamptz not null,
  primary key (order_id, bucket, version),
  check (bucket = bucket_of(order_id))
);

-- This service's copy of the catalogue, fed by product facts. Reference data: not bucketed.
create table catalogue (
  product_id uuid primary key,
  name text not null,
  currency_code text not null,
  price_minor_units bigint not null check (price_minor_units >= 0),
  prepared boolean not null,
  archived boolean not null,
  version bigint not null
);
