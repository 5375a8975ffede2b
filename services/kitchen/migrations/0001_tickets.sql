-- What the kitchen has to make: one ticket per paid order with something to prepare.

create table tickets (
  ticket_id uuid primary key,
  -- Decides between order.paid and an order.cancelled that overtook it.
  order_id uuid not null unique,
  status text not null check (status in ('QUEUED', 'ACCEPTED', 'READY', 'HANDED_OVER', 'CANCELLED')),
  lines jsonb not null check (jsonb_typeof(lines) = 'array'),
  -- A user id, or staff; empty until somebody took it.
  staff text not null default '',
  -- Null only where the cancellation came first: such a row is no ticket, it only keeps one from being made.
  queued_at timestamptz,
  accepted_at timestamptz,
  ready_at timestamptz,
  handed_over_at timestamptz,
  cancelled_at timestamptz,
  version bigint not null default 1 check (version > 0),
  -- The transaction of the last change: watchers read what is newer than the oldest one they could not see.
  changed_xid xid8 not null default pg_current_xact_id(),
  check (queued_at is not null or status = 'CANCELLED'),
  check ((cancelled_at is not null) = (status = 'CANCELLED')),
  check ((handed_over_at is not null) = (status = 'HANDED_OVER'))
);
create index tickets_changed on tickets (changed_xid);
create index tickets_open on tickets (ticket_id) where status in ('QUEUED', 'ACCEPTED', 'READY');
create index tickets_by_status on tickets (status, ticket_id);
