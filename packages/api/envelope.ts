/**
 * A fact or a job with all that is known of it. It stays as it is from the outbox to the handler: through brokers, retries, parking and replay.
 * `Body` is bytes on the way and the decoded message in a handler.
 */
export interface Envelope<Body = Uint8Array> {
  /** Its own for ever, the same at every delivery: the idempotency key towards the outside world. */
  id: string;
  /** Such as order.created. */
  type: string;
  /** Who told it or asked for it, such as bodega/order. */
  source: string;
  /** The aggregate's id; facts of one key keep their order. */
  key: string;
  /** When it happened, or was asked for. */
  time: Date;
  /** W3C trace context. */
  traceparent: string;
  /** Links the log lines of everything that one request set off. */
  correlationId: string;
  body: Body;
}

/** A fact on the wire: CloudEvents attributes around a protobuf body. */
export interface FactEnvelope<Body = Uint8Array> extends Envelope<Body> {
  /** The aggregate, and the Kafka topic: order. */
  topic: string;
}

export function sourceOf(service: string): string {
  return `bodega/${service}`;
}
