-- A key that may be in wrong hands is accepted no more; it is kept until its last token would have ended, to be seen.
alter table signing_keys
  add column revoked_at timestamptz,
  add column revoked_because text,
  add check ((revoked_at is null) = (revoked_because is null)),
  add check (revoked_at is null or signs_until is not null);
