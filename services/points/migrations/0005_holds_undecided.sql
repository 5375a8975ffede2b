-- What is held is found without reading what is settled.
-- no transaction
create index concurrently if not exists holds_undecided on holds (user_id) where status = 'HELD';
