-- The sums of an account's ledger up to a version, so that comparing the books reads only what came later, however long the ledger is.

-- Entries from before have no version, which is 0: they are in every seal.
alter table ledger add column version bigint not null default 0;
alter table ledger add constraint ledger_versioned check (version > 0) not valid;

-- An older program, while it runs beside this one, gives none. It has locked the account, and has written the account's new version.
create function number_entry() returns trigger language plpgsql as $$
begin
  select version into new.version from accounts where user_id = new.user_id;
  return new;
end $$;
create trigger ledger_numbered before insert on ledger for each row when (new.version = 0) execute function number_entry();

create table ledger_seals (
  user_id uuid primary key,
  version bigint not null check (version > 0),
  balance bigint not null,
  held bigint not null,
  sealed_at timestamptz not null
);
