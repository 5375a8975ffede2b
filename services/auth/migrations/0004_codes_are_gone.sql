-- No release that may still run reads this table: tickets took its place.
drop table codes;
