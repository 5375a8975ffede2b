-- Who works on a job, how often nobody answered, and what went wrong with it since when. Empty in jobs that were never claimed, so that enqueuing costs nothing more.

-- A number that no other claim ever had: who writes with an older one has lost the job.
create sequence job_fences;

alter table jobs
  add column fence bigint,
  -- Claims since the last answer. A process that dies gives none.
  add column unanswered smallint,
  -- The kind of the last failure, how often in a row, and when that is enough.
  add column trouble text,
  add column tries smallint,
  add column give_up_at timestamptz;
