-- What of an order's payment was given back, why it may end for it, and how much one customer may hold without paying.

alter table orders add column refunded_minor_units bigint not null default 0 check (refunded_minor_units >= 0);
-- The sum of the lines' quantities: what an unpaid order keeps from others.
alter table orders add column units int not null default 0 check (units >= 0);
alter table orders drop constraint orders_cancel_reason_check;
alter table orders add constraint orders_cancel_reason_check
  check (cancel_reason in ('OUT_OF_STOCK', 'EXPIRED', 'CUSTOMER', 'ADMIN', 'REFUNDED'));

-- One row, written by the service when it starts; null is without limit.
create table order_limits (
  only_row boolean primary key default true check (only_row),
  unpaid_orders_max int,
  unpaid_units_max int
);
insert into order_limits default values;

-- Counted where the orders are written, behind one lock a customer: calls at one moment cannot pass it together. The ids tell which orders are
-- younger than a day and a bit, so that a customer of many years costs no more than a new one.
create function refuse_too_many_unpaid() returns trigger language plpgsql as $$
declare
  allowed order_limits;
  over record;
begin
  select * into allowed from order_limits;
  if allowed.unpaid_orders_max is null and allowed.unpaid_units_max is null then
    return null;
  end if;
  perform pg_advisory_xact_lock(hashtextextended(customer_id::text, 7204))
    from (select distinct customer_id from added order by customer_id) as customers;
  select o.customer_id, count(*) as orders, sum(o.units) as units into over
    from (select bucket, customer_id, min(order_id::text) as first from added group by bucket, customer_id) as n
    join orders o on o.bucket = n.bucket and o.customer_id = n.customer_id and o.status = 'PENDING'
      and o.order_id >= (lpad(to_hex(('x' || translate(left(n.first, 13), '-', ''))::bit(48)::bigint - 90000000), 12, '0') || '00000000000000000000')::uuid
    group by o.customer_id
    having count(*) > allowed.unpaid_orders_max or sum(o.units) > allowed.unpaid_units_max
    limit 1;
  if found then
    raise exception using errcode = 'BOREF', detail = 'TOO_MANY_UNPAID', message = format(
      'customer %s would have %s unpaid orders with %s units: at most %s with %s are allowed, pay or cancel some first',
      over.customer_id, over.orders, over.units, allowed.unpaid_orders_max, allowed.unpaid_units_max);
  end if;
  return null;
end $$;
create trigger orders_unpaid after insert on orders referencing new table as added
  for each statement execute function refuse_too_many_unpaid();
