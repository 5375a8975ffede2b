import type { Channel, ChannelModel, ConfirmChannel, ConsumeMessage } from "amqplib";
import { sleep } from "../service/clock.ts";
import type { Log } from "../telemetry/log.ts";
import { type Delivery, startDelivery } from "./delivery.ts";
import type { JobMessage, Jobs } from "./jobs.ts";
import { endWithChannel, endWithin, explained, startOver, stayConnected, within } from "./rabbitmq-link.ts";
import type { RabbitNode } from "./rabbitmq-url.ts";

const EXCHANGE = "bodega.jobs";
const PARKED = "bodega.parked";
/** Who has it may declare. Exclusive, so it is gone with its owner's connection. */
const DECLARING = "bodega.declaring";
const DECLARING_BY_ANOTHER = 405;
const DECLARE_AGAIN_MS = 20;
const DECLARE_MS = 3_000;
/** How often a message may be given back, or be held by a process that dies, before it is parked for a person to look at. */
const DELIVERIES_MAX = 20;
const PREFETCH = 200;
const UNCONFIRMED_MAX = 1_000;
const SEND_MS = 5_000;

export interface RabbitJobsOptions {
  nodes: RabbitNode[];
  log: Log;
}

/**
 * Queues in RabbitMQ: replicated, one per service, declared by whoever comes first. Sending has a connection of its own, because RabbitMQ stops
 * reading from those that publish when it runs full, and what empties it must still get through. Rejects when no node lets it in.
 */
export async function createRabbitJobs({ nodes, log }: RabbitJobsOptions): Promise<Jobs> {
  const queues = new Set<string>();
  const consumers = new Set<Consumer>();
  let outlet = Promise.withResolvers<Outlet>();
  let inlet: ChannelModel | undefined;
  const declare = inTurn((model, channel, queue) => {
    const declaring = within(DECLARE_MS, `queue ${queue} was not declared`, () => declareAlone(model, channel, queue));
    startOver(declaring, model, log);
    return declaring;
  });

  const sending = await stayConnected(nodes, "sends jobs", log, async (model) => {
    const channel = await model.createConfirmChannel();
    endWithChannel(model, channel, log);
    const next = openOutlet(channel, (queue) => declare(model, channel, queue));
    channel.on("close", () => {
      outlet = Promise.withResolvers();
      next.lost.resolve(new Error("the connection was lost before the confirmation came"));
    });
    outlet.resolve(next);
  });
  const receiving = await stayConnected(nodes, "takes jobs", log, async (model) => {
    inlet = model;
    for (const consumer of consumers) await attach(consumer, model, declare, log);
  }).catch(async (error: unknown) => {
    await sending.close();
    throw error;
  });

  async function send(queue: string, messages: JobMessage[], deadline: AbortSignal) {
    const out = await outlet.promise;
    deadline.throwIfAborted();
    await out.declare(queue);
    const confirmed: Promise<Error | undefined>[] = [];
    for (const message of messages) {
      while (out.unconfirmed.size >= UNCONFIRMED_MAX) await Promise.race([out.lost.promise, ...out.unconfirmed]);
      deadline.throwIfAborted();
      confirmed.push(out.publish(queue, message));
    }
    const failed = (await Promise.all(confirmed)).find((error) => error !== undefined);
    if (failed) throw failed;
  }

  return {
    async send(queue, messages) {
      queues.add(queue);
      try {
        await within(SEND_MS, "no confirmation", (deadline) => send(queue, messages, deadline));
      } catch (error) {
        throw explained(error, nodes);
      }
    },
    receive(queue, handler) {
      queues.add(queue);
      const consumer: Consumer = { queue, delivery: startDelivery(queue, handler, log) };
      consumers.add(consumer);
      if (inlet) startOver(attach(consumer, inlet, declare, log), inlet, log);
      return {
        async close() {
          consumers.delete(consumer);
          await detach(consumer, log);
        },
      };
    },
    undelivered: () =>
      within(SEND_MS, "no answer", async () => {
        const out = await outlet.promise;
        let ready = 0;
        for (const queue of queues) ready += await out.ready(queue);
        // What had left its queue by then has arrived when this is answered.
        for (const { channel, queue } of consumers) await channel?.checkQueue(bodegaQueue(queue));
        return ready + [...consumers].reduce((sum, { delivery }) => sum + delivery.held(), 0);
      }),
    async close() {
      await Promise.all(
        [...consumers].map((consumer) => {
          consumers.delete(consumer);
          return detach(consumer, log);
        }),
      );
      await Promise.all([sending, receiving].map((link) => endWithin(link.close(), log)));
    },
  };
}

/** Sends over one channel, and is no more when it closes. */
interface Outlet {
  publish(queue: string, message: JobMessage): Promise<Error | undefined>;
  declare(queue: string): Promise<unknown>;
  ready(queue: string): Promise<number>;
  unconfirmed: Set<Promise<Error | undefined>>;
  lost: PromiseWithResolvers<Error>;
}

function openOutlet(channel: ConfirmChannel, declare: (queue: string) => Promise<void>): Outlet {
  const declared = new Map<string, Promise<void>>();
  const returned = new Set<string>();
  const unconfirmed = new Set<Promise<Error | undefined>>();
  const lost = Promise.withResolvers<Error>();
  let published = 0;
  // Comes before the confirmation of the same message.
  channel.on("return", ({ properties }) => returned.add(properties.correlationId));

  function confirmation(queue: string, { body, id, type, key, traceparent, requestId }: JobMessage) {
    const { promise, resolve } = Promise.withResolvers<Error | undefined>();
    const correlationId = String(++published);
    const headers = { key, traceparent, request_id: requestId };
    const properties = { mandatory: true, persistent: true, messageId: id, type, headers, correlationId };
    channel.publish(EXCHANGE, queue, Buffer.from(body), properties, (refused) => {
      if (refused) resolve(new Error(`${queue} refused job ${id}: its queue is full or has no majority`));
      else if (returned.delete(correlationId)) {
        declared.delete(queue);
        resolve(new Error(`no queue takes jobs for ${queue}: job ${id} was returned`));
      } else resolve(undefined);
    });
    return Promise.race([promise, lost.promise]);
  }

  return {
    unconfirmed,
    lost,
    publish(queue, message) {
      const confirmed = confirmation(queue, message).finally(() => unconfirmed.delete(confirmed));
      unconfirmed.add(confirmed);
      return confirmed;
    },
    declare(queue) {
      const declaring =
        declared.get(queue) ??
        declare(queue).catch((error: unknown) => {
          declared.delete(queue);
          throw error;
        });
      declared.set(queue, declaring);
      return declaring;
    },
    ready: async (queue) => (await assertJobs(channel, queue)).messageCount,
  };
}

interface Consumer {
  queue: string;
  delivery: Delivery;
  /** The connection it is or will be attached to. */
  model?: ChannelModel;
  channel?: Channel;
  consumerTag?: string;
}

async function attach(consumer: Consumer, model: ChannelModel, declare: Declare, log: Log) {
  if (consumer.model === model) return;
  consumer.model = model;
  const { queue, delivery } = consumer;
  const channel = await model.createChannel();
  endWithChannel(model, channel, log);
  let live = true;
  channel.on("close", () => {
    live = false;
    if (consumer.channel === channel) delete consumer.channel;
  });
  await declare(model, channel, queue);
  await channel.prefetch(PREFETCH);
  const take = (raw: ConsumeMessage | null) => {
    if (!raw) return startOver(Promise.reject(new Error(`the queue of ${queue} was deleted`)), model, log);
    const message = messageIn(raw);
    if (message)
      return delivery.arrived({
        message,
        live: () => live,
        ack: () => channel.ack(raw),
        giveBack: () => channel.nack(raw, false, true),
      });
    log.error("jobs.parked", new Error("expected a job, found a message without its properties"), { queue });
    channel.nack(raw, false, false);
  };
  const { consumerTag } = await channel.consume(bodegaQueue(queue), take);
  Object.assign(consumer, { channel, consumerTag });
}

/** What has arrived and was not begun goes back to the queue. */
async function detach({ channel, consumerTag, delivery }: Consumer, log: Log) {
  if (channel && consumerTag) await endWithin(channel.cancel(consumerTag), log);
  await delivery.close();
  if (channel) await endWithin(channel.close(), log);
}

function messageIn({ content, properties }: ConsumeMessage): JobMessage | undefined {
  const { messageId: id, type, headers = {} } = properties;
  const { key, traceparent, request_id: requestId } = headers;
  const texts: unknown[] = [id, type, key, traceparent, requestId];
  if (texts.some((text) => typeof text !== "string")) return undefined;
  return { id, type, key, body: content, traceparent, requestId };
}

function bodegaQueue(queue: string): string {
  return `${EXCHANGE}.${queue}`;
}

type Declare = (model: ChannelModel, channel: Channel, queue: string) => Promise<void>;

/** One at a time in this process; between processes the broker sees to it. */
function inTurn(work: Declare): Declare {
  let last: Promise<unknown> = Promise.resolve();
  return (...args) => {
    const next = last.then(() => work(...args));
    last = Promise.allSettled([next]);
    return next;
  };
}

/** Declared twice at the same moment, a quorum queue can lose its entry and stay broken (seen with RabbitMQ 3.10). */
async function declareAlone(model: ChannelModel, channel: Channel, queue: string): Promise<void> {
  for (;;) {
    const gate = await model.createChannel();
    // The call that failed rejects with the same; unheard it would end the process.
    gate.on("error", () => {});
    try {
      await gate.assertQueue(DECLARING, { exclusive: true, durable: false });
    } catch (error) {
      if ((error as { code?: unknown }).code !== DECLARING_BY_ANOTHER) throw error;
      await sleep(DECLARE_AGAIN_MS);
      continue;
    }
    await declareQueue(channel, queue);
    await gate.deleteQueue(DECLARING);
    return gate.close();
  }
}

/** All of it is idempotent, and survives; what it was declared with cannot be changed any more. */
async function declareQueue(channel: Channel, queue: string): Promise<void> {
  const parked = `${PARKED}.${queue}`;
  await channel.assertExchange(EXCHANGE, "direct", { durable: true });
  await channel.assertExchange(PARKED, "direct", { durable: true });
  await channel.assertQueue(parked, { durable: true, arguments: { "x-queue-type": "quorum" } });
  await channel.bindQueue(parked, PARKED, queue);
  await assertJobs(channel, queue);
  await channel.bindQueue(bodegaQueue(queue), EXCHANGE, queue);
}

function assertJobs(channel: Channel, queue: string) {
  return channel.assertQueue(bodegaQueue(queue), {
    durable: true,
    arguments: {
      "x-queue-type": "quorum",
      "x-delivery-limit": DELIVERIES_MAX,
      "x-dead-letter-exchange": PARKED,
      "x-dead-letter-strategy": "at-least-once",
      "x-overflow": "reject-publish",
    },
  });
}
