-- What was sent to whom, and what the mail service must know to write it.

-- Where a user is written to: a copy of what user.registered told.
create table contacts (
  user_id uuid primary key,
  email text not null,
  display_name text not null
);

-- Orders as far as their facts have come: a reminder for one that is no longer pending is dropped.
create table orders (
  order_id uuid primary key,
  status text not null check (status in ('pending', 'paid', 'completed', 'cancelled')),
  total_minor_units bigint not null check (total_minor_units >= 0),
  currency_code text not null
);

create table mails (
  mail_id uuid primary key,
  template text not null,
  -- What the mail is about: an order, a payment or a code.
  subject_id text not null check (length(subject_id) between 1 and 100),
  -- Which of several mails of one kind about one thing.
  step integer not null check (step >= 0),
  recipient text not null,
  order_id uuid,
  subject text not null,
  -- Null when the mail held a code and is done with.
  text_body text,
  html_body text,
  holds_code boolean not null,
  status text not null check (status in ('queued', 'sent', 'failed', 'dropped')),
  attempts integer not null default 0 check (attempts >= 0),
  error text not null default '',
  created_at timestamptz not null,
  sent_at timestamptz,
  -- The same mail cannot be written twice.
  constraint mails_once unique (template, subject_id, step),
  check (status <> 'sent' or sent_at is not null),
  check (holds_code or (text_body is not null and html_body is not null))
);
create index mails_of_order on mails (order_id, mail_id) where order_id is not null;
create index mails_by_status on mails (status, mail_id);
