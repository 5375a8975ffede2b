-- A checkout whose order has ended offers its page to nobody any more; money that was on its way is still told.
alter table provider_checkouts add column closed_at timestamptz;
create index provider_checkouts_by_time on provider_checkouts (created_at);
create index provider_refunds_by_time on provider_refunds (created_at);
