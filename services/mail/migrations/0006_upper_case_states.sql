-- States are written as everywhere else, in upper case. What a process of the version before still writes is turned into that, so the new one reads both;
-- the triggers go with the next version. (The old process finds no mail in upper case: let it end before the new one takes over.)
create function upper_case_status() returns trigger language plpgsql as $$
begin
  new.status := upper(new.status);
  return new;
end $$;

alter table mails drop constraint mails_status_check, drop constraint mails_check;
update mails set status = upper(status);
alter table mails
  add constraint mails_status_check check (status in ('QUEUED', 'SENT', 'FAILED', 'DROPPED')),
  add constraint mails_sent_check check (status <> 'SENT' or sent_at is not null);
create trigger mails_upper_case before insert or update of status on mails
  for each row when (new.status <> upper(new.status)) execute function upper_case_status();

alter table orders drop constraint orders_status_check;
update orders set status = upper(status);
alter table orders add constraint orders_status_check check (status in ('PENDING', 'PAID', 'COMPLETED', 'CANCELLED'));
create trigger orders_upper_case before insert or update of status on orders
  for each row when (new.status <> upper(new.status)) execute function upper_case_status();
