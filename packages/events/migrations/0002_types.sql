-- What a group wants of its topics; empty: everything.
alter table fact_offsets add column types text[] not null default '{}';
