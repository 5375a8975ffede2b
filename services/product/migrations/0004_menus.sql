-- Collections can be menus: with an order of their own, and times at which they are served.

create table menus (
  collection text primary key,
  title text not null,
  time_zone text not null,
  -- As bodega.product.v1.SaleWindow has them.
  windows jsonb not null check (jsonb_typeof(windows) = 'array'),
  product_ids uuid[] not null,
  -- Kept when it is a menu no more, so that its versions go on.
  removed boolean not null default false,
  version bigint not null check (version > 0),
  updated_at timestamptz not null
);
