import type { SecureContextOptions } from "node:tls";
import type { Log } from "../telemetry/log.ts";
import { within } from "../time/wait.ts";
import { startDelivery } from "./delivery.ts";
import type { Jobs } from "./jobs.ts";
import { bindDelayed, DELAYED, declareDelayed, nextWait, sendDelayed, sendToWait } from "./rabbitmq-delay.ts";
import { type Consumer, type Inlet, stayAttached } from "./rabbitmq-inlet.ts";
import { inspectRabbit } from "./rabbitmq-inspect.ts";
import { closing, endWithin, explained, placesOf, stayConnected } from "./rabbitmq-link.ts";
import { type Outlet, openOutlet } from "./rabbitmq-outlet.ts";
import { createDeclare, jobsQueue, ready, SETTLE_MS } from "./rabbitmq-queues.ts";
import type { Delay, RabbitNode } from "./rabbitmq-url.ts";
import { onceASecond } from "./wake-ups.ts";

const SEND_MS = 5_000;

export interface RabbitmqJobsOptions {
  /** As `readRabbitmqUrl` gives them. */
  nodes: RabbitNode[];
  delay: Delay;
  /** For nodes whose protocol is amqps. */
  tls?: SecureContextOptions;
  log: Log;
  /** Real time, from any beginning. */
  nowMs: () => number;
  /** Shorter only in tests that kill nothing. */
  settleMs?: number;
}

/**
 * Queues in RabbitMQ: replicated, one per service, declared by whoever comes first, and never deleted while there may be a job in them
 * (docs/decisions/0012-a-job-in-rabbitmq-is-only-there.md). Sending has a connection of its own, because RabbitMQ stops reading from those that publish
 * when it runs full, and what empties it must still get through. Rejects, with a sentence, when no node lets it in or the delay plugin is missing.
 */
export async function createRabbitmqJobs(options: RabbitmqJobsOptions): Promise<Jobs> {
  const { nodes, delay, tls, log, nowMs, settleMs = SETTLE_MS } = options;
  const queues = new Set<string>();
  const consumers = new Map<Consumer, Promise<void>>();
  const declare = createDeclare(settleMs, log);
  let outlet = Promise.withResolvers<Outlet>();
  let connected: Outlet | undefined;
  let inlet: Inlet | undefined;

  const sending = await stayConnected(
    nodes,
    "sends jobs",
    log,
    async (model) => {
      const out = openOutlet(model, declare);
      connected = out;
      outlet.resolve(out);
      closing(model).addEventListener("abort", () => {
        if (connected !== out) return;
        outlet = Promise.withResolvers();
        connected = undefined;
      });
    },
    tls,
  );
  if (delay === "plugin") await requirePlugin();
  const receiving = await stayConnected(
    nodes,
    "takes jobs",
    log,
    async (model) => {
      inlet = { model, gone: closing(model) };
      for (const consumer of consumers.keys()) attach(consumer, inlet);
    },
    tls,
  ).catch(async (error: unknown) => {
    await endWithin(() => sending.close(), log);
    throw error;
  });

  async function requirePlugin() {
    const { model } = await outlet.promise;
    try {
      await within(SEND_MS, "no answer", () => declareDelayed(model));
    } catch (cause) {
      await endWithin(() => sending.close(), log);
      const found = `RabbitMQ at ${placesOf(nodes)} takes no exchange of the type x-delayed-message`;
      const help = "enable its plugin rabbitmq_delayed_message_exchange, or unset RABBITMQ_DELAY";
      throw new Error(`RABBITMQ_DELAY is plugin, but ${found}: ${help}`, { cause });
    }
  }

  function attach(consumer: Consumer, at: Inlet) {
    const { queue } = consumer;
    const { model } = at;
    const there = async () => {
      await declare(model, jobsQueue(queue));
      if (delay === "plugin") await bindDelayed(model, jobsQueue(queue));
    };
    consumers.set(consumer, stayAttached(consumer, at, there, log));
  }

  async function detach(consumer: Consumer) {
    const attached = consumers.get(consumer);
    consumers.delete(consumer);
    consumer.ended.abort();
    await consumer.delivery.close();
    if (attached) await endWithin(() => attached, log);
  }

  /** A hint: where it cannot be sent, it is told in the log and given up. */
  async function wake(queue: string, ms: number) {
    const out = connected;
    const wait = nextWait(ms);
    if (!out || !wait) return;
    try {
      if (delay === "plugin")
        return sendDelayed(await out.through(DELAYED, () => declareDelayed(out.model)), queue, ms);
      sendToWait(await out.through(wait.queue.name, () => declare(out.model, wait.queue)), queue, wait);
    } catch (error) {
      log.warn("jobs.wake_up_lost", { queue, error: String(error) });
    }
  }

  return {
    async send(queue, messages) {
      queues.add(queue);
      try {
        await within(SEND_MS, "no confirmation", async (deadline) => {
          const out = await outlet.promise;
          deadline.throwIfAborted();
          await out.send(queue, messages, deadline);
        });
      } catch (error) {
        throw explained(error, nodes);
      }
    },
    receive(queue, handler, woken = () => {}) {
      queues.add(queue);
      const consumer: Consumer = {
        queue,
        delivery: startDelivery(queue, handler, log),
        woken: (leftMs) => (leftMs > 0 ? void wake(queue, leftMs) : woken()),
        ended: new AbortController(),
      };
      consumers.set(consumer, Promise.resolve());
      if (inlet) attach(consumer, inlet);
      return { close: () => detach(consumer) };
    },
    wakeLater: onceASecond(nowMs, (queue, ms) => void wake(queue, ms)),
    undelivered: () =>
      within(SEND_MS, "no answer", async () => {
        const { model } = await outlet.promise;
        const waiting = await Promise.all([...queues].map((queue) => ready(model, jobsQueue(queue))));
        // What had left its queue by then has arrived when this is answered.
        for (const { channel, queue } of consumers.keys()) await channel?.checkQueue(jobsQueue(queue).name);
        const held = [...consumers.keys()].map(({ delivery }) => delivery.held());
        return [...waiting, ...held].reduce((sum, count) => sum + count, 0);
      }),
    inspect: () => within(SEND_MS, "no answer", async () => inspectRabbit((await outlet.promise).model, [...queues])),
    async close() {
      await Promise.all([...consumers.keys()].map(detach));
      await Promise.all([sending, receiving].map((link) => endWithin(() => link.close(), log)));
    },
  };
}
