-- What came after a seal is found without reading the rest.
-- no transaction
create index concurrently if not exists ledger_version on ledger (user_id, version);
