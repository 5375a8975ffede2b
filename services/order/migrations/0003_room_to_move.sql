-- An order moves soon after it was placed. With room left on its page the new row needs no new index entries.
alter table orders set (fillfactor = 75);
