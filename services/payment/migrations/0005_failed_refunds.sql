-- A refund that was given up is FAILED: its money is owed, shown as such, and can be given back again.
alter table refunds
  add column error text not null default '',
  drop constraint refunds_status_check,
  add constraint refunds_status_check check (status in ('REQUESTED', 'DONE', 'FAILED', 'REFUSED', 'REVERSED'));
alter table payments add column refund_failed_minor_units bigint not null default 0 check (refund_failed_minor_units >= 0);
