-- Money may move again after it came, by nobody's wish here: refunds made at the provider, refunds that fail, disputes. A payment's sums follow its rows in `refunds`.

alter table provider_events
  drop constraint provider_events_kind_check,
  add constraint provider_events_kind_check check
    (kind in ('captured', 'declined', 'abandoned', 'refunded', 'refund_failed', 'disputed', 'dispute_won')),
  -- Ours, of a refund that we asked for.
  add column refund_id uuid,
  -- Null while it waits, as a refund does that is told before its capture.
  add column applied_at timestamptz;

alter table refunds
  add column origin text not null default 'ASKED' check (origin in ('ASKED', 'PROVIDER', 'DISPUTE')),
  -- As the provider names it, once it has told.
  add column provider_reference text,
  drop constraint refunds_status_check,
  -- REFUSED: the provider had nothing to give. REVERSED: it came back, from a bank that refused it or by a dispute that was won.
  add constraint refunds_status_check check (status in ('REQUESTED', 'DONE', 'REFUSED', 'REVERSED')),
  drop constraint refunds_check,
  add constraint refunds_done_check check (status <> 'DONE' or done_at is not null);
create unique index refunds_by_reference on refunds (payment_id, provider_reference);

alter table payments
  add column disputed_minor_units bigint not null default 0 check (disputed_minor_units >= 0),
  -- Promised may be more than was paid, for as long as the provider has not refused what its own people gave back before us.
  drop constraint payments_check,
  drop constraint payments_check1,
  add constraint payments_refunded_check check (refunded_minor_units between 0 and amount_minor_units),
  add constraint payments_requested_check check (refund_requested_minor_units >= refunded_minor_units),
  drop constraint payments_check3,
  add constraint payments_moved_check check
    (status in ('CAPTURED', 'REFUNDED') or (refund_requested_minor_units = 0 and disputed_minor_units = 0));

-- What payment must know of an order, and the row that its payments and its end meet at.
create table orders (
  order_id uuid primary key,
  status text not null check (status in ('PENDING', 'PAID', 'CANCELLED'))
);
