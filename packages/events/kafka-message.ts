import type { FactEnvelope } from "../api/envelope.ts";
import { storableMessage } from "../database/storable.ts";
import { isUuid, uuidOf } from "../time/ids.ts";

/** A fact as Kafka carries it: CloudEvents attributes in the headers, the body as it is. */
export interface KafkaRecord {
  key: Buffer | string | null;
  value: Buffer | null;
  headers?: Record<string, HeaderValue>;
  /** Milliseconds, as Kafka's clients say it. */
  timestamp: string;
  offset: string;
}

type HeaderValue = Buffer | string | (Buffer | string)[] | null | undefined;

export function toRecord({ id, type, key, source, time, body, traceparent, correlationId }: FactEnvelope) {
  return {
    key,
    value: Buffer.from(body.buffer, body.byteOffset, body.byteLength),
    headers: {
      ce_id: id,
      ce_type: type,
      ce_source: source,
      ce_subject: key,
      ce_time: time.toISOString(),
      traceparent,
      ce_requestid: correlationId,
    },
  };
}

/**
 * Whatever lies in the topic becomes a fact that a database takes, so that nothing blocks the others behind it: one without an id gets that of its place, and a
 * stranger's id that is no UUID becomes one, always the same.
 */
export function toFact({ key, value, headers, timestamp, offset }: KafkaRecord, topic: string, partition: number) {
  const header = (name: string) => text(headers?.[name]);
  const fact: FactEnvelope = {
    id: idFor(header("ce_id"), `${topic}/${partition}/${offset}`),
    type: header("ce_type"),
    topic,
    key: text(key),
    source: header("ce_source"),
    time: new Date(header("ce_time")),
    body: value ?? Buffer.alloc(0),
    traceparent: header("traceparent"),
    correlationId: header("ce_requestid"),
  };
  return storableMessage(fact, new Date(Number(timestamp)));
}

function text(value: HeaderValue): string {
  return String((Array.isArray(value) ? value[0] : value) ?? "");
}

function idFor(given: string, place: string): string {
  if (isUuid(given)) return given;
  return uuidOf(given ? `id:${given}` : place);
}
