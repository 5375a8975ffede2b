-- A mail is nearly always handed over once: what is known of that stands in its own row, and a second hand-over is added there.
alter table caught_mails
  add column recipients text[] not null default '{}',
  add column received jsonb not null default '[]' check (jsonb_typeof(received) = 'array');
update caught_mails c set
  recipients = coalesce((select array_agg(distinct r) from caught_deliveries d, unnest(d.recipients) r where d.position = c.position), '{}'),
  received = coalesce((select jsonb_agg(jsonb_build_object('helo', d.helo, 'at', d.received_at) order by d.delivery)
    from caught_deliveries d where d.position = c.position), '[]');
alter table caught_mails alter column recipients drop default, alter column received drop default;
drop table caught_deliveries;
