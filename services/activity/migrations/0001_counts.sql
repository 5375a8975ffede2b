-- How many facts of each type, and how much money, in every quarter hour of UTC: every time zone's day and hour is made of whole quarter hours.

create table counts (
  at timestamptz not null check (extract(epoch from at)::bigint % 900 = 0),
  type text not null,
  quantity bigint not null check (quantity > 0),
  primary key (at, type)
) with (fillfactor = 50);

-- `reason` is a cancelled order's, else empty.
create table takings (
  at timestamptz not null check (extract(epoch from at)::bigint % 900 = 0),
  kind text not null check (kind in ('PLACED', 'PAID', 'PAID_IN_POINTS', 'CANCELLED', 'REFUNDED')),
  reason text not null check ((reason <> '') = (kind = 'CANCELLED')),
  currency_code text not null check (currency_code ~ '^[A-Z]{3}$'),
  quantity bigint not null check (quantity > 0),
  minor_units bigint not null,
  primary key (at, kind, reason, currency_code)
) with (fillfactor = 50);

-- A day that is being counted anew, read from the event log page by page. Nothing here outlives its rebuild but after a crash, so it needs no log.
create unlogged table rebuilt_facts (
  rebuild_id uuid not null,
  event_id uuid not null,
  bucket smallint not null,
  -- Read for comparison only when it lies just beside the day.
  inside boolean not null,
  at timestamptz not null,
  type text not null,
  kind text,
  reason text,
  currency_code text,
  minor_units bigint,
  primary key (rebuild_id, event_id)
);
