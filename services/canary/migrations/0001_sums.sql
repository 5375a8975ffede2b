-- What the canary has promised, and what came of it: two books, each written by one end of the way, so that their difference is what was lost or doubled.

-- The near end: written in the commit that the caller is answered for.
create table sums (
  sum_id uuid primary key,
  a bigint not null,
  b bigint not null,
  sum bigint not null check (sum = a::numeric + b),
  instance text not null,
  calculated_at timestamptz not null
);

-- The far end: written by the deliveries, which know nothing of the near end but what they carry.
create table arrivals (
  sum_id uuid primary key,
  sum bigint not null,
  times int not null check (times > 0),
  arrived_at timestamptz not null
);
