-- Who may come in, and what proves it. Nothing here lets its reader in: passwords, codes and tokens are kept as digests only.

create table users (
  user_id uuid primary key,
  email text not null unique check (email = btrim(email) and email <> ''),
  display_name text not null,
  password_hash text not null check (password_hash like '$argon2id$%'),
  roles text[] not null check (roles <@ array['ROLE_CUSTOMER', 'ROLE_KITCHEN', 'ROLE_ADMIN'] and cardinality(roles) > 0),
  created_at timestamptz not null,
  verified_at timestamptz
);

-- The newest code of each purpose per address. Unknown addresses have rows too, so that cooldown and guesses are the same for them.
create table codes (
  purpose text not null check (purpose in ('VERIFY_EMAIL', 'RESET_PASSWORD')),
  address_hash bytea not null check (length(address_hash) = 32),
  salt bytea not null,
  code_hash bytea not null check (length(code_hash) = 32),
  -- Null: the code is nobody's and opens nothing. No foreign key: checking it takes time, which would tell one from the other.
  user_id uuid,
  guesses smallint not null check (guesses between 0 and 6),
  sent_at timestamptz not null,
  expires_at timestamptz not null,
  primary key (purpose, address_hash)
);
create index codes_over on codes (expires_at);

-- A session is a family of refresh tokens, each made from the one before.
create table sessions (
  session_id uuid primary key,
  user_id uuid not null references users on delete cascade,
  created_at timestamptz not null,
  expires_at timestamptz not null check (expires_at > created_at),
  ended_at timestamptz,
  ended_by text check (ended_by in ('LOGOUT', 'LOGOUT_ALL', 'PASSWORD_RESET', 'REUSE')),
  check ((ended_at is null) = (ended_by is null))
);
create index sessions_of_user on sessions (user_id) where ended_at is null;
create index sessions_over on sessions (expires_at);

-- kid, access_token_id and issued_at make the access token of the same answer again, when the answer was lost on its way.
create table refresh_tokens (
  token_hash bytea primary key check (length(token_hash) = 32),
  session_id uuid not null references sessions on delete cascade,
  kid text not null,
  access_token_id uuid not null,
  issued_at timestamptz not null,
  rotated_at timestamptz
);
create index refresh_tokens_of_session on refresh_tokens (session_id);

-- Networks a user has logged in from: a stranger's guesses do not keep the user out there.
create table known_networks (
  user_id uuid not null references users on delete cascade,
  network_hash bytea not null check (length(network_hash) = 32),
  logins integer not null check (logins > 0),
  seen_at timestamptz not null,
  primary key (user_id, network_hash)
);

-- Keys that sign access tokens: one that signs, one made public ahead of its turn, and former ones until their tokens are over.
-- The private half is sealed (keys.ts); whoever reads only a copy of this table cannot sign when AUTH_SECRET is set.
create table signing_keys (
  kid text primary key,
  public_jwk text not null,
  sealed_private_jwk bytea not null,
  -- Of the secret it was sealed with.
  secret_fingerprint bytea not null,
  -- By then every verifier can have heard of it.
  usable_from timestamptz not null,
  signs_from timestamptz,
  signs_until timestamptz check (signs_until >= signs_from)
);
create unique index signing_keys_one_current on signing_keys ((true)) where signs_from is not null and signs_until is null;
create unique index signing_keys_one_standby on signing_keys ((true)) where signs_from is null;

-- What codes and refresh tokens are derived with where AUTH_SECRET is not set. One row.
create table root_secret (
  one boolean primary key default true check (one),
  secret bytea not null check (length(secret) = 32)
);
