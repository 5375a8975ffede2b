-- What has left the database for a broker is remembered where somebody asks for it: a database that is set back to an earlier moment tells it again, to brokers that know nothing of it.
create table told_facts (like outbox, told_at timestamptz not null default clock_timestamp());
create index told_facts_by_time on told_facts (told_at);
create table told_jobs (like jobs, told_at timestamptz not null default clock_timestamp());
create index told_jobs_by_time on told_jobs (told_at);

create function keep_told_facts() returns trigger language plpgsql as $$
begin
  insert into told_facts (position, id, aggregatetype, aggregateid, type, payload, time, traceparent, request_id, correlation_id)
  select position, id, aggregatetype, aggregateid, type, payload, time, traceparent, request_id, correlation_id from gone;
  return null;
end $$;
create function keep_told_jobs() returns trigger language plpgsql as $$
begin
  insert into told_jobs (bucket, job_id, sequence, kind, target, type, key, body, due_at, attempts, traceparent, request_id, source, time, correlation_id)
  select bucket, job_id, sequence, kind, target, type, key, body, due_at, 0, traceparent, request_id, source, time, correlation_id from gone
  where target is not null;
  return null;
end $$;

-- Disabled: whoever keeps a backup enables them.
create trigger keep_told after delete on outbox referencing old table as gone for each statement execute function keep_told_facts();
alter table outbox disable trigger keep_told;
create trigger keep_told after delete on jobs referencing old table as gone for each statement execute function keep_told_jobs();
alter table jobs disable trigger keep_told;

-- For a database that was set back, before its services run: what it had told goes out once more, and whoever had heard it knows it by its id.
create function tell_again() returns bigint language plpgsql as $$
declare
  facts bigint;
  sent bigint;
begin
  insert into outbox (position, id, aggregatetype, aggregateid, type, payload, time, traceparent, request_id, correlation_id) overriding system value
  select position, id, aggregatetype, aggregateid, type, payload, time, traceparent, request_id, correlation_id from told_facts
  on conflict do nothing;
  get diagnostics facts = row_count;
  insert into jobs (bucket, job_id, sequence, kind, target, type, key, body, due_at, attempts, traceparent, request_id, source, time, correlation_id) overriding system value
  select bucket, job_id, sequence, kind, target, type, key, body, due_at, attempts, traceparent, request_id, source, time, correlation_id from told_jobs
  on conflict do nothing;
  get diagnostics sent = row_count;
  delete from told_facts;
  delete from told_jobs;
  return facts + sent;
end $$;
