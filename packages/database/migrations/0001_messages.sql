-- What every service keeps so that no message is lost, doubled or forgotten.

-- Facts committed and not yet published. The first five columns are the ones Debezium's Outbox Event Router reads.
create table outbox (
  position bigint generated always as identity primary key,
  id uuid not null,
  aggregatetype text not null,
  aggregateid text not null,
  type text not null,
  payload bytea not null,
  time timestamptz not null,
  traceparent text not null,
  request_id text not null
);

-- Messages taken in. A row is written in the transaction of the message's effect, so the effect happens once.
create table inbox (
  bucket smallint not null,
  message_id uuid not null,
  seen_at timestamptz not null,
  primary key (message_id, bucket)
);
create index inbox_seen on inbox (seen_at);

-- What is to be done: jobs of this service (target is null), jobs for others on their way out, and facts to be tried again.
create table jobs (
  bucket smallint not null,
  job_id uuid not null,
  sequence bigint generated always as identity,
  kind text not null check (kind in ('job', 'fact')),
  target text,
  type text not null,
  key text not null,
  body bytea not null,
  due_at timestamptz not null,
  attempts smallint not null default 0,
  error text,
  traceparent text not null,
  request_id text not null,
  primary key (job_id, bucket)
);
create index jobs_due on jobs (due_at) where target is null;
create index jobs_outgoing on jobs (due_at) where target is not null;
create index jobs_facts on jobs (key, sequence) where kind = 'fact';

-- What failed for good and waits for a person.
create table parked (
  bucket smallint not null,
  parked_id uuid not null,
  sequence bigint not null,
  kind text not null check (kind in ('job', 'fact')),
  type text not null,
  key text not null,
  body bytea not null,
  attempts smallint not null,
  error text not null,
  traceparent text not null,
  request_id text not null,
  parked_at timestamptz not null,
  primary key (parked_id, bucket)
);
create index parked_facts on parked (key, sequence) where kind = 'fact';

-- What an operator gave up, and why.
create table discarded (
  like parked,
  discarded_at timestamptz not null,
  discarded_by text not null,
  reason text not null,
  primary key (parked_id, bucket)
);

-- One answer per key. The row is written in the transaction of what it answers.
create table idempotency (
  bucket smallint not null,
  caller uuid not null,
  rpc text not null,
  request_id text not null,
  request_hash bytea not null,
  reply bytea,
  created_at timestamptz not null,
  primary key (caller, rpc, request_id, bucket)
);
