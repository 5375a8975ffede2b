-- Comparing the books with a provider's goes by time.
create index payments_by_time on payments (created_at);
create index provider_events_by_time on provider_events (received_at);
create index refunds_by_time on refunds (requested_at);
