-- Products in menus are sold while one of them is open: the collections of each product, and the menus among them.

-- Null in rows from before: the product's owner is asked again.
alter table catalogue add column collections text[];
alter table catalogue alter column collections set default '{}';

-- This service's copy of the menus, fed by facts. Reference data: not bucketed.
create table menus (
  collection text primary key,
  title text not null,
  time_zone text not null,
  windows jsonb not null check (jsonb_typeof(windows) = 'array'),
  removed boolean not null,
  version bigint not null
);
