-- Each request that a mailed code answers has a ticket: its own guesses, and, to register, its own password, so that nobody's guesses cost another's
-- code and a code makes valid only what was asked for with its ticket. Table codes is not read any more and goes in a later release.

create table tickets (
  ticket_hash bytea primary key check (length(ticket_hash) = 32),
  purpose text not null check (purpose in ('REGISTER', 'RESET_PASSWORD', 'CHANGE_EMAIL')),
  address_hash bytea not null check (length(address_hash) = 32),
  -- Where it was asked for.
  network_hash bytea not null check (length(network_hash) = 32),
  -- Whose it is, or will be. Null: it opens nothing; it is there so that an address with an account is answered like one without.
  user_id uuid,
  -- To register: what was chosen. To reset a password: what was set with it.
  password_hash text check (password_hash like '$argon2id$%'),
  display_name text,
  salt bytea not null,
  code_hash bytea not null check (length(code_hash) = 32),
  code_until timestamptz not null,
  -- With the ticket; without it from the network that asked; and from all others together.
  guesses smallint not null default 0 check (guesses between 0 and 6),
  near_guesses smallint not null default 0 check (near_guesses between 0 and 6),
  far_guesses smallint not null default 0 check (far_guesses between 0 and 6),
  created_at timestamptz not null,
  expires_at timestamptz not null,
  redeemed_at timestamptz,
  -- Redeemed: the address is proven, but not who chose the password.
  password_needed boolean not null default false,
  check (purpose <> 'REGISTER' or (password_hash is not null and display_name is not null))
);
create index tickets_of_address on tickets (address_hash, purpose);
create index tickets_over on tickets (expires_at);

-- Mails with codes of the last day, and those in whose place nothing went out: what cooldowns and the day's budget are counted from.
create table code_mails (
  address_hash bytea not null check (length(address_hash) = 32),
  network_hash bytea not null check (length(network_hash) = 32),
  purpose text not null,
  sent_at timestamptz not null,
  -- When this network may ask for the next.
  next_at timestamptz not null
);
create index code_mails_of_address on code_mails (address_hash);
create index code_mails_over on code_mails (sent_at);

-- Users are verified from the first on. Those of former releases who are not are found to be removed.
create index users_unverified on users (created_at) where verified_at is null;
