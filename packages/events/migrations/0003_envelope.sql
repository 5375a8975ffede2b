-- What links the log lines of a message, and of a job who asked for it and when. request_id stays, and may be empty, until no process of the version before runs.
alter table facts add column correlation_id text, alter column request_id drop not null;
alter table queued add column source text, add column time timestamptz, add column correlation_id text, alter column request_id drop not null;
