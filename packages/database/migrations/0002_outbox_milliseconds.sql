-- Debezium writes a time with as many digits as its column has, and facts on the wire have milliseconds.
alter table outbox alter column time type timestamptz(3);
