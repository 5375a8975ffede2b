import { type Channel, type ChannelModel, closing } from "./rabbitmq-link.ts";
import { JOBS, type Queue } from "./rabbitmq-queues.ts";

/** The type of a message that is a wake-up and no job. */
export const WAKE_UP = "bodega.wake-up";
/** What of the time is left when it arrives: it is sent on then. */
const LEFT = "left_ms";
export const DELAYED = "bodega.delayed";
const DELAYED_TYPE = "x-delayed-message";

/** Each is a queue. Within one all wait equally long, or those behind one that waits longer would come late. */
const CLASSES_S = [1, 4, 16, 64, 256, 1_024, 4_096, 16_384];
const SHORTEST_MS = 1_000;

/** Where a wake-up is to wait next. None: it has waited enough. */
export function nextWait(ms: number): { queue: Queue; leftMs: number } | undefined {
  const seconds = CLASSES_S.findLast((each) => each * 1_000 <= ms);
  if (!seconds) return undefined;
  const name = `bodega.wait.${seconds}s`;
  return {
    queue: {
      name,
      exchange: { name, type: "fanout" },
      key: "",
      arguments: {
        "x-queue-type": "quorum",
        "x-message-ttl": seconds * 1_000,
        // With the key it came with, which is the queue to be woken.
        "x-dead-letter-exchange": JOBS,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
      },
    },
    leftMs: ms - seconds * 1_000,
  };
}

export function sendToWait(channel: Channel, queue: string, { queue: wait, leftMs }: { queue: Queue; leftMs: number }) {
  channel.publish(wait.exchange.name, queue, Buffer.alloc(0), { type: WAKE_UP, headers: { [LEFT]: leftMs } });
}

export function leftMs(headers: Record<string, unknown> = {}): number {
  const left = Number(headers[LEFT]);
  return left >= SHORTEST_MS ? left : 0;
}

/** Rejects, and takes the connection with it, when the broker does not have the plugin. */
export async function declareDelayed(model: ChannelModel): Promise<void> {
  const channel = await model.createChannel();
  closing(channel);
  await channel.assertExchange(DELAYED, DELAYED_TYPE, { durable: true, arguments: { "x-delayed-type": "direct" } });
  await channel.close();
}

export async function bindDelayed(model: ChannelModel, queue: Queue): Promise<void> {
  const channel = await model.createChannel();
  closing(channel);
  await channel.bindQueue(queue.name, DELAYED, queue.key);
  await channel.close();
}

export function sendDelayed(channel: Channel, queue: string, ms: number) {
  channel.publish(DELAYED, queue, Buffer.alloc(0), { type: WAKE_UP, headers: { "x-delay": Math.round(ms) } });
}
