-- A message keeps all that is known of it: who told it, when, and what links its log lines. request_id stays, and may be empty, until no process of the version before runs.
alter table outbox add column correlation_id text, alter column request_id drop not null;
alter table jobs add column source text, add column time timestamptz, add column correlation_id text, alter column request_id drop not null;
alter table parked add column source text, add column time timestamptz, add column correlation_id text, alter column request_id drop not null;

-- Its columns stay those of parked, in the same order, with three more: the version before copies them by their places.
alter table discarded rename to discarded_before;
alter table discarded_before rename constraint discarded_pkey to discarded_before_pkey;
create table discarded (
  like parked,
  discarded_at timestamptz not null,
  discarded_by text not null,
  reason text not null,
  primary key (parked_id, bucket)
);
insert into discarded (bucket, parked_id, sequence, kind, type, key, body, attempts, error, traceparent, request_id, parked_at, discarded_at, discarded_by, reason)
select bucket, parked_id, sequence, kind, type, key, body, attempts, error, traceparent, request_id, parked_at, discarded_at, discarded_by, reason from discarded_before;
drop table discarded_before;
