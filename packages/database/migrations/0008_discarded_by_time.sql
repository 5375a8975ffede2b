-- What was discarded goes after a year: the oldest are found without reading the rest.
-- no transaction
create index concurrently if not exists discarded_at on discarded using brin (discarded_at);
