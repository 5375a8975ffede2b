-- Networks that nobody comes from any more are forgotten, whoever they were of: the oldest are found without reading the rest.
-- no transaction
create index concurrently if not exists known_networks_seen on known_networks (seen_at);
