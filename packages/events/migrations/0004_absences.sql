-- A group that nobody reads for keeps facts from being forgotten: hours that it was missing, counted only while the broker is in use.
alter table fact_offsets
  add column hours_missing int not null default 0,
  add column looked_at timestamptz;
