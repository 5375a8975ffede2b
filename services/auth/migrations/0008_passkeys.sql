-- Passkeys (WebAuthn): public keys of authenticators that open an account by themselves, and challenges that one of them is to sign.

create table passkeys (
  passkey_id uuid primary key,
  user_id uuid not null references users on delete cascade,
  -- As the authenticator calls it: one passkey opens one account.
  credential_id bytea not null unique check (length(credential_id) between 1 and 1023),
  -- COSE.
  public_key bytea not null check (length(public_key) between 1 and 1024),
  -- How often it signed, by its own count. One that does not count says 0 always.
  sign_count bigint not null check (sign_count >= 0),
  name text not null check (name <> ''),
  synced boolean not null,
  created_at timestamptz not null,
  last_used_at timestamptz
);
create index passkeys_of_user on passkeys (user_id);

create table passkey_challenges (
  challenge_hash bytea primary key check (length(challenge_hash) = 32),
  purpose text not null check (purpose in ('REGISTER', 'LOGIN')),
  -- To register: who asked, the password that was right, and whether a code was asked for. When either is another the challenge is no good.
  user_id uuid references users on delete cascade,
  password_hash text,
  totp_since timestamptz,
  expires_at timestamptz not null,
  check ((purpose = 'REGISTER') = (user_id is not null) and (user_id is null) = (password_hash is null))
);
create index passkey_challenges_of_user on passkey_challenges (user_id) where user_id is not null;
create index passkey_challenges_over on passkey_challenges (expires_at);

alter table sessions
  -- That opened it. Null: a password did, or the passkey is no more.
  add column passkey_id uuid references passkeys on delete set null,
  drop constraint sessions_ended_by_check,
  add constraint sessions_ended_by_check check (
    ended_by in (
      'LOGOUT', 'LOGOUT_ALL', 'PASSWORD_RESET', 'REUSE', 'ENDED', 'PASSWORD_CHANGED', 'BLOCKED', 'TOTP_ENABLED', 'PASSKEY_REMOVED'
    ));
