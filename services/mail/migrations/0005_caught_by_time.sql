-- Caught mails go by age, and arrive in the order of time: a block range index finds the old ones and costs an insert next to nothing.
-- no transaction
create index concurrently if not exists caught_mails_at on caught_mails using brin (caught_at);
