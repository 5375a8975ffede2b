-- The embedded broker: a log of facts with an offset per group, and queues of jobs. A database of its own, as Kafka and RabbitMQ are.
create table facts (
  position bigint generated always as identity primary key,
  id uuid not null,
  type text not null,
  topic text not null,
  key text not null,
  source text not null,
  time timestamptz not null,
  body bytea not null,
  traceparent text not null,
  request_id text not null,
  appended_at timestamptz not null
);
create index facts_topic on facts (topic, position);

create table fact_offsets (
  consumer text primary key,
  topics text[] not null,
  position bigint not null
);

create table queued (
  position bigint generated always as identity primary key,
  queue text not null,
  id uuid not null,
  type text not null,
  key text not null,
  body bytea not null,
  traceparent text not null,
  request_id text not null
);
create index queued_queue on queued (queue, position);
