-- Message ids are pruned by age and arrive in the order of time: a block range index finds the old ones and costs an insert next to nothing.
drop index inbox_seen;
create index inbox_seen on inbox using brin (seen_at);
