-- What came after a seal is found without reading the rest.
-- no transaction
create index concurrently if not exists stock_ledger_version on stock_ledger (product_id, version);
