-- What was archived can be put back on the shelf.

alter table product_events drop constraint product_events_type_check;
alter table product_events add constraint product_events_type_check
  check (type in ('product.created', 'product.updated', 'product.archived', 'product.unarchived'));
