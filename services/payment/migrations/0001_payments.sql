-- Money asked for, taken and given back: what was told by the provider is kept raw, what follows from it is decided here once.

create table payments (
  payment_id uuid primary key,
  order_id uuid not null,
  customer_id uuid not null,
  status text not null check (status in ('PENDING', 'CAPTURED', 'FAILED', 'ABANDONED', 'REFUNDED')),
  currency_code text not null check (currency_code ~ '^[A-Z]{3}$'),
  amount_minor_units bigint not null check (amount_minor_units >= 0),
  -- Promised back, and known to be back: what is left to refund is the amount without what is promised.
  refund_requested_minor_units bigint not null default 0 check (refund_requested_minor_units between 0 and amount_minor_units),
  refunded_minor_units bigint not null default 0 check (refunded_minor_units between 0 and refund_requested_minor_units),
  provider text not null,
  provider_reference text,
  checkout_url text,
  created_at timestamptz not null,
  captured_at timestamptz,
  refunded_at timestamptz,
  check ((captured_at is not null) = (status in ('CAPTURED', 'REFUNDED'))),
  check (status = 'CAPTURED' or refund_requested_minor_units = 0 or refunded_minor_units = amount_minor_units)
);
-- One checkout at a time per order: two concurrent starts end in one row.
create unique index payments_open on payments (order_id) where status = 'PENDING';
create index payments_by_order on payments (order_id, payment_id);
create index payments_by_customer on payments (customer_id, payment_id);

create table refunds (
  refund_id uuid primary key,
  payment_id uuid not null references payments,
  amount_minor_units bigint not null check (amount_minor_units > 0),
  reason text not null,
  -- A user id, or the job that asked.
  requested_by text not null,
  status text not null check (status in ('REQUESTED', 'DONE')),
  requested_at timestamptz not null,
  done_at timestamptz,
  check ((done_at is not null) = (status = 'DONE'))
);
create index refunds_by_payment on refunds (payment_id);

-- Verified webhooks as they came. The key makes a second delivery of one event do nothing.
create table provider_events (
  provider text not null,
  event_id text not null,
  kind text not null check (kind in ('captured', 'declined', 'abandoned')),
  payment_id uuid not null,
  provider_reference text not null,
  currency_code text not null,
  amount_minor_units bigint not null,
  reason text not null,
  body bytea not null,
  received_at timestamptz not null,
  primary key (provider, event_id)
);
create index provider_events_by_payment on provider_events (payment_id);
