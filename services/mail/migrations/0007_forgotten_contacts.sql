-- Of who has deleted the account it is known that there is nobody to write to, and nothing else.
alter table contacts add column gone boolean not null default false, add check (gone = (email = ''));
-- What was sent to an address is found by it when its owner wants it forgotten.
create index mails_to on mails (recipient);
