-- A passkey that is removed finds the sessions that it opened without reading the rest.
-- no transaction
create index concurrently if not exists sessions_of_passkey on sessions (passkey_id) where passkey_id is not null;
