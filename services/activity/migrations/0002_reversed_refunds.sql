-- Refunded money may come again: it is counted beside what went back.
alter table takings drop constraint takings_kind_check;
alter table takings add constraint takings_kind_check
  check (kind in ('PLACED', 'PAID', 'PAID_IN_POINTS', 'CANCELLED', 'REFUNDED', 'REFUND_REVERSED'));
