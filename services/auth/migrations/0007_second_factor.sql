-- A second factor for who wants one: the secret of an authenticator app, codes for when the app is lost, and logins that wait for one of them.

alter table users
  -- Since when Login asks for it.
  add column totp_since timestamptz;

create table totp_secrets (
  user_id uuid primary key references users on delete cascade,
  -- Sealed like private keys: whoever reads only a copy of this table makes no codes with it when AUTH_SECRET is set.
  sealed_secret bytea not null,
  -- Of the secret it was sealed with.
  secret_fingerprint bytea not null,
  made_at timestamptz not null,
  -- Codes of this step of 30 s and of those before are taken no more.
  used_step bigint not null default 0
);

create table recovery_codes (
  user_id uuid not null references totp_secrets on delete cascade,
  code_hash bytea not null check (length(code_hash) = 32),
  primary key (user_id, code_hash)
);

-- Whose password was right.
create table login_challenges (
  challenge_hash bytea primary key check (length(challenge_hash) = 32),
  user_id uuid not null references users on delete cascade,
  -- The password that was right. When there is another the challenge is no good.
  password_hash text not null,
  guesses smallint not null default 0 check (guesses between 0 and 5),
  expires_at timestamptz not null
);
create index login_challenges_of_user on login_challenges (user_id);
create index login_challenges_over on login_challenges (expires_at);

alter table sessions
  drop constraint sessions_ended_by_check,
  add constraint sessions_ended_by_check check (
    ended_by in ('LOGOUT', 'LOGOUT_ALL', 'PASSWORD_RESET', 'REUSE', 'ENDED', 'PASSWORD_CHANGED', 'BLOCKED', 'TOTP_ENABLED'));
