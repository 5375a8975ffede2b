-- Files of products on their way to the shelf: what was received, what is still to be done, and what is wrong with which line.

create table imports (
  import_id uuid primary key,
  status text not null check (status in ('RECEIVING', 'RUNNING', 'DONE', 'CANCELLED', 'FAILED')),
  format text not null check (format in ('CSV', 'JSON_LINES')),
  file_name text not null,
  bytes int not null check (bytes between 0 and 4194304),
  parts int not null check (parts >= 0),
  -- Of the whole file, once it is here.
  sha256 bytea,
  -- Null until the file was read.
  rows_total int check (rows_total > 0),
  rows_created int not null default 0 check (rows_created >= 0),
  rows_unchanged int not null default 0 check (rows_unchanged >= 0),
  rows_refused int not null default 0 check (rows_refused >= 0),
  error text not null default '',
  -- Who asked for it: the products are theirs.
  actor text not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  finished_at timestamptz,
  check (rows_created + rows_unchanged + rows_refused <= coalesce(rows_total, 0)),
  check (status <> 'DONE' or rows_created + rows_unchanged + rows_refused = rows_total),
  check ((status in ('RECEIVING', 'RUNNING')) = (finished_at is null))
);
create index imports_sha256 on imports (sha256);
create index imports_receiving on imports (updated_at) where status = 'RECEIVING';

-- Gone once the file was read.
create table import_parts (
  import_id uuid not null references imports on delete cascade,
  part int not null,
  content bytea not null,
  primary key (import_id, part)
);

-- What is still to be done, and what was refused; a row that is on the shelf is gone from here.
create table import_rows (
  import_id uuid not null references imports on delete cascade,
  line int not null,
  -- A CreateProductRequest in protobuf's JSON.
  json text not null,
  problem text,
  primary key (import_id, line)
);
create index import_rows_to_do on import_rows (import_id, line) where problem is null;
