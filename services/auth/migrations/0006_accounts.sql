-- Owners see their sessions and end them, passwords and addresses are changed, admins close accounts.

alter table users
  add column blocked_at timestamptz,
  add column blocked_because text,
  add check ((blocked_at is null) = (blocked_because is null));

alter table sessions
  -- Where it was opened, as its owner may recognise it.
  add column network text not null default '',
  drop constraint sessions_ended_by_check,
  add constraint sessions_ended_by_check
    check (ended_by in ('LOGOUT', 'LOGOUT_ALL', 'PASSWORD_RESET', 'REUSE', 'ENDED', 'PASSWORD_CHANGED', 'BLOCKED'));
