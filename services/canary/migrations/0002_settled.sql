-- Sums that came out as they went in are counted here and forgotten: what is left to compare is what is under way, and what is wrong.
create table settled (
  only_one boolean primary key default true check (only_one),
  sums bigint not null,
  total numeric not null
);
insert into settled (sums, total) values (0, 0);
