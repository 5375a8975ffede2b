import type { Envelope } from "../api/envelope.ts";
import type { Sql } from "./database.ts";
import type { RowOf } from "./table.ts";

// The columns in which every table keeps its messages, but for the id, which each names in its own way, and the outbox, whose names are Debezium's.

export const ENVELOPE = {
  type: "text",
  source: "text",
  key: "text",
  time: "timestamptz",
  traceparent: "text",
  correlation_id: "text",
  body: "bytea",
} as const;

/** What an insert writes. */
export function envelopeRow(message: Envelope): RowOf<typeof ENVELOPE> {
  const { type, source, key, time, traceparent, correlationId, body } = message;
  return { type, source, key, time, traceparent, correlation_id: correlationId, body };
}

/** The names of these columns. */
export function envelopeNames(sql: Sql) {
  return sql.unsafe(Object.keys(ENVELOPE).join(", "));
}

/** What a select reads. A row of the version before has no time of its own but `otherwise`, and its correlation id under another name. */
export function envelopeColumns(sql: Sql, otherwise: ReturnType<Sql>) {
  return sql`type, coalesce(source, '') as source, key, coalesce(time, ${otherwise}) as time, traceparent,
    ${correlationId(sql)}, body`;
}

/** The one column that is read under another name: the row of a message is handed on as the message, whose words are those of the wire. */
export function correlationId(sql: Sql) {
  return sql`coalesce(correlation_id, request_id, '') as "correlationId"`;
}
