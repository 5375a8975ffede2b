import type { Envelope } from "../api/envelope.ts";
import { storableMessage } from "../database/storable.ts";
import type { Log } from "../telemetry/log.ts";
import { backoffMs, SOON } from "../time/backoff.ts";
import { systemClock } from "../time/clock.ts";
import { isUuid, uuidOf } from "../time/ids.ts";
import { sleep, within } from "../time/wait.ts";
import type { Delivery } from "./delivery.ts";
import { leftMs, WAKE_UP } from "./rabbitmq-delay.ts";
import { type Channel, type ChannelModel, type ConsumeMessage, closing, endWithin } from "./rabbitmq-link.ts";
import { jobsQueue } from "./rabbitmq-queues.ts";

const PREFETCH = 200;
const CHANNEL_MS = 5_000;
/** A queue without a majority of its nodes answers when it has one again. */
const CONSUME_MS = 20_000;
const NO_TYPE = "(no type)";

export interface Consumer {
  queue: string;
  delivery: Delivery;
  /** A wake-up came, of which so much is left. */
  woken(leftMs: number): void;
  ended: AbortController;
  /** Once it is attached. */
  channel?: Channel;
}

/** A connection, and whether it still is one. */
export interface Inlet {
  model: ChannelModel;
  gone: AbortSignal;
}

/**
 * Attached to its queue until it is ended or the connection is. A queue that is away keeps nobody from the others.
 * What has arrived and was not begun when it is ended goes back to the queue.
 */
export async function stayAttached(
  consumer: Consumer,
  { model, gone }: Inlet,
  declare: () => Promise<void>,
  log: Log,
): Promise<void> {
  const { queue, delivery, ended } = consumer;
  const over = AbortSignal.any([ended.signal, gone]);
  for (let failures = 0; !over.aborted; ) {
    try {
      await declare();
      const channel = await within(CHANNEL_MS, "no channel was opened", () => model.createChannel());
      const closed = closing(channel);
      try {
        const deleted = await within(CONSUME_MS, `${queue} gave no jobs`, () => consume(consumer, channel, closed));
        failures = 0;
        consumer.channel = channel;
        await aborted(AbortSignal.any([over, closed, deleted]));
        if (!over.aborted) throw new Error(`the queue of ${queue} ${deleted.aborted ? "was deleted" : "let go of us"}`);
      } finally {
        delete consumer.channel;
        if (ended.signal.aborted) await delivery.close();
        if (!closed.aborted) await endWithin(() => channel.close(), log);
      }
    } catch (error) {
      if (over.aborted) return;
      failures += 1;
      log.error("rabbitmq.starting_over", error, { queue, failures });
      await sleep(backoffMs(failures, SOON), over);
    }
  }
}

/** Aborts the signal it resolves with when the queue is deleted. */
async function consume({ queue, delivery, woken }: Consumer, channel: Channel, closed: AbortSignal) {
  const deleted = new AbortController();
  await channel.prefetch(PREFETCH);
  await channel.consume(jobsQueue(queue).name, (raw) => {
    if (!raw) return deleted.abort();
    if (raw.properties.type === WAKE_UP) {
      woken(leftMs(raw.properties.headers));
      return channel.ack(raw);
    }
    return delivery.arrived({
      message: messageIn(raw),
      live: () => !closed.aborted,
      ack: () => channel.ack(raw),
      giveBack: () => channel.nack(raw, false, true),
    });
  });
  return deleted.signal;
}

/** Whatever is in the queue is given to the doer, in a shape its database takes: what cannot be understood is parked there, where people look. */
function messageIn({ content, properties }: ConsumeMessage): Envelope {
  const { messageId, headers = {} } = properties;
  const id = text(messageId);
  const message = {
    // The same at every delivery.
    id: isUuid(id) ? id : uuidOf(id, "\0", content),
    type: text(properties.type) || NO_TYPE,
    source: text(headers["source"]),
    key: text(headers["key"]),
    time: new Date(text(headers["time"])),
    traceparent: text(headers["traceparent"]),
    correlationId: text(headers["request_id"]),
    body: content,
  };
  return storableMessage(message, systemClock().now());
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function aborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (signal.aborted) resolve();
  signal.addEventListener("abort", () => resolve(), { once: true });
  return promise;
}
