-- The sum of a product's ledger up to a version, so that comparing the books reads only what came later, however long the ledger is.
create table stock_seals (
  product_id uuid primary key,
  version bigint not null check (version > 0),
  on_hand int not null,
  reserved int not null,
  sealed_at timestamptz not null
);
