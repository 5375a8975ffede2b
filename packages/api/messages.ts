import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";

/** Something that happened: past tense, told to many, kept in order per key. */
export interface Fact<M extends DescMessage = DescMessage> {
  kind: "fact";
  /** Such as order.created. */
  type: string;
  /** The aggregate, and the Kafka topic: order. */
  topic: string;
  schema: M;
  /** The aggregate's id. */
  key(body: MessageShape<M>): string;
}

/** Something to do, once, now or later, by one service: imperative. */
export interface Job<M extends DescMessage = DescMessage> {
  kind: "job";
  /** Such as order.payment-deadline. */
  type: string;
  /** The service that does it. */
  service: string;
  schema: M;
  /** The aggregate's id: jobs of one key are done in the order they were enqueued only when their times say so. */
  key(body: MessageShape<M>): string;
}

export type Body<T extends Fact | Job> = MessageShape<T["schema"]>;
export type BodyInit<T extends Fact | Job> = MessageInitShape<T["schema"]>;

export function fact<M extends DescMessage>(
  type: string,
  schema: M,
  key: (body: MessageShape<M>) => string,
  topic = type.slice(0, type.indexOf(".")),
): Fact<M> {
  return { kind: "fact", type, topic, schema, key };
}

export function job<M extends DescMessage>(
  service: string,
  name: string,
  schema: M,
  key: (body: MessageShape<M>) => string,
): Job<M> {
  return { kind: "job", type: `${service}.${name}`, service, schema, key };
}
