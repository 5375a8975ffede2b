-- The catalogue: a product is its stream of events, and products is what the stream adds up to.

create table product_events (
  product_id uuid not null,
  version bigint not null check (version > 0),
  type text not null check (type in ('product.created', 'product.updated', 'product.archived')),
  changes jsonb not null check (jsonb_typeof(changes) = 'object'),
  actor text not null,
  trace_id text not null,
  at timestamptz not null,
  primary key (product_id, version)
);

-- What has happened stays so: the stream only grows.
create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '% is append-only', tg_table_name;
end $$;
create trigger product_events_append_only before update or delete or truncate on product_events
  for each statement execute function refuse_change();

-- Written in the transaction of each event. The last two columns are stock's word, not the stream's.
create table products (
  product_id uuid primary key,
  sku text not null constraint products_sku unique,
  name text not null,
  description text not null,
  currency_code text not null check (currency_code ~ '^[A-Z]{3}$'),
  price_minor_units bigint not null check (price_minor_units between 0 and 1000000000),
  collections text[] not null,
  prepared boolean not null,
  archived boolean not null,
  version bigint not null check (version > 0),
  created_at timestamptz not null,
  updated_at timestamptz not null,
  available int not null default 0 check (available >= 0),
  stock_version bigint not null default 0
);
create index products_on_shelf on products (product_id) where not archived;
create index products_collections on products using gin (collections) where not archived;
