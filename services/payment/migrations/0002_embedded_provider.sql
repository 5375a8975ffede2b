-- The embedded provider's own ledger. Payments never read it: it is the second opinion on where the money is.

create table provider_checkouts (
  payment_id uuid primary key,
  provider_reference text not null unique,
  order_id uuid not null,
  currency_code text not null,
  amount_minor_units bigint not null check (amount_minor_units >= 0),
  outcome text check (outcome in ('captured', 'declined', 'abandoned')),
  created_at timestamptz not null,
  decided_at timestamptz,
  check ((outcome is null) = (decided_at is null))
);

create table provider_refunds (
  refund_id uuid primary key,
  provider_reference text not null references provider_checkouts (provider_reference),
  amount_minor_units bigint not null check (amount_minor_units > 0),
  created_at timestamptz not null
);
create index provider_refunds_by_reference on provider_refunds (provider_reference);

-- What webhooks are signed with when the configuration does not say: made once, the same for every instance.
create table provider_secrets (
  only_one boolean primary key default true check (only_one),
  secret text not null
);
