import type { Log } from "../telemetry/log.ts";
import { sleep, within } from "../time/wait.ts";
import { type Channel, type ChannelModel, closing, codeOf, endWithin, ifFound } from "./rabbitmq-link.ts";

export const JOBS = "bodega.jobs";
/** Who has the queue of this name may make the queue named behind it. Exclusive, so it is gone with its owner's connection. */
const MAKING = "bodega.making";
/** An exchange of this name says that the queue named behind it is written down for good. Nothing is ever sent to it. */
const SETTLED = "bodega.settled";
const MADE_BY_ANOTHER = 405;
const LOOK_AGAIN_MS = 50;
const DECLARE_MS = 20_000;
/** The broker counts deliveries, and drops a message that has had so many: never. Where the count has no limit of its own, 20 is the default. */
const DELIVERIES_MAX = 2_147_483_647;

/**
 * RabbitMQ writes down after a second at the latest which quorum queue is which (names.dets: 500 ms and once more), but confirms messages at once. Killed in
 * between, it starts with an empty queue of that name and no leader, and what was confirmed is gone. A queue is used only when it is older than this.
 */
export const SETTLE_MS = 3_000;

export interface Queue {
  name: string;
  /** Messages come through it. */
  exchange: { name: string; type: "direct" | "fanout" };
  /** What it takes from there. */
  key: string;
  arguments: Record<string, unknown>;
}

/** Arguments cannot be changed any more once there are such queues. */
export function jobsQueue(queue: string): Queue {
  return {
    name: `${JOBS}.${queue}`,
    exchange: { name: JOBS, type: "direct" },
    key: queue,
    arguments: { "x-queue-type": "quorum", "x-delivery-limit": DELIVERIES_MAX },
  };
}

/** There, bound, and safe to send to. May be called at any time by any number of processes. */
export type Declare = (model: ChannelModel, queue: Queue) => Promise<void>;

export function createDeclare(settleMs: number, log: Log): Declare {
  const turns = new Map<string, Promise<unknown>>();

  async function declare(model: ChannelModel, queue: Queue, deadline: AbortSignal): Promise<void> {
    if (!(await isSettled(model, queue))) await makeAlone(model, queue, deadline);
    const channel = await model.createChannel();
    closing(channel);
    await channel.assertExchange(queue.exchange.name, queue.exchange.type, { durable: true });
    await channel.bindQueue(queue.name, queue.exchange.name, queue.key);
    await channel.close();
  }

  /** Declared twice at the same moment, a quorum queue can lose its entry and stay broken (seen with RabbitMQ 3.10). */
  async function makeAlone(model: ChannelModel, queue: Queue, deadline: AbortSignal): Promise<void> {
    const gate = `${MAKING}.${queue.name}`;
    const channel = await openGate(model, gate, deadline);
    try {
      // Another may have made it meanwhile.
      if (!(await isSettled(model, queue))) await make(model, queue, settleMs);
    } finally {
      await endWithin(() => channel.deleteQueue(gate).then(() => channel.close()), log);
    }
  }

  // One at a time in this process, whose connections share their exclusive queues with themselves.
  return (model, queue) => {
    const next = (turns.get(queue.name) ?? Promise.resolve()).then(() =>
      within(DECLARE_MS, `queue ${queue.name} was not declared`, (deadline) => declare(model, queue, deadline)),
    );
    turns.set(queue.name, Promise.allSettled([next]));
    return next;
  };
}

/** How many messages wait in it. A queue that is not there has none. */
export async function ready(model: ChannelModel, { name }: Queue): Promise<number> {
  return (await ifFound(model, (channel) => channel.checkQueue(name)))?.messageCount ?? 0;
}

async function isSettled(model: ChannelModel, { name }: Queue): Promise<boolean> {
  const found = await ifFound(model, async (channel) => {
    await channel.checkExchange(`${SETTLED}.${name}`);
    return channel.checkQueue(name);
  });
  return found !== undefined;
}

async function openGate(model: ChannelModel, gate: string, deadline: AbortSignal): Promise<Channel> {
  for (;;) {
    deadline.throwIfAborted();
    const channel = await model.createChannel();
    closing(channel);
    try {
      await channel.assertQueue(gate, { exclusive: true, durable: false });
      return channel;
    } catch (error) {
      if (codeOf(error) !== MADE_BY_ANOTHER) throw error;
    }
    await sleep(LOOK_AGAIN_MS, deadline);
  }
}

async function make(model: ChannelModel, { name, arguments: wanted }: Queue, settleMs: number): Promise<void> {
  const found = await ifFound(model, (channel) => channel.checkQueue(name));
  const channel = await model.createChannel();
  closing(channel);
  // Not settled, so nothing was ever sent to it, and it may be one without a leader: that of a broker killed too early.
  if (found?.messageCount === 0 && found.consumerCount === 0) await channel.deleteQueue(name);
  await channel.deleteExchange(`${SETTLED}.${name}`);
  await channel.assertQueue(name, { durable: true, arguments: wanted });
  await sleep(settleMs);
  await channel.assertExchange(`${SETTLED}.${name}`, "fanout", { durable: true, internal: true });
  await channel.close();
}
