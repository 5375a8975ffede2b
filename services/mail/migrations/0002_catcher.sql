-- The catcher: mails that were handed over on this machine, kept instead of sent.

create table caught_mails (
  position bigint generated always as identity primary key,
  caught_id uuid not null unique,
  -- One mail per Message-ID, however often it is handed over: that is how a mailbox shows it.
  message_id text not null unique check (length(message_id) between 1 and 1000),
  sender text not null,
  data text not null,
  caught_at timestamptz not null
);

-- Every hand-over, so that a mail that went out twice can be counted.
create table caught_deliveries (
  position bigint not null references caught_mails on delete cascade,
  delivery bigint generated always as identity,
  recipients text[] not null,
  helo text not null,
  received_at timestamptz not null,
  primary key (position, delivery)
);
