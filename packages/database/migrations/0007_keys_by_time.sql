-- Idempotency keys are pruned by age and arrive in the order of time: a block range index finds the old ones and costs an insert next to nothing.
-- no transaction
create index concurrently if not exists idempotency_created on idempotency using brin (created_at);
