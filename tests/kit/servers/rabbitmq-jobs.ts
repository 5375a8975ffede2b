// What tests of jobs over a real RabbitMQ share.
import { randomUUID } from "node:crypto";
import { type ConfirmChannel, connect } from "amqplib";
import type { Envelope } from "../../../packages/api/envelope.ts";
import type { Jobs } from "../../../packages/jobs/jobs.ts";
import { createRabbitmqJobs } from "../../../packages/jobs/rabbitmq.ts";
import { type Delay, readRabbitmqUrl } from "../../../packages/jobs/rabbitmq-url.ts";
import { createLog, type Line } from "../../../packages/telemetry/log.ts";

/** Long enough for the broker to begin, and no more: nothing is killed while a queue is young. */
const SETTLE_MS = 50;

const opened: Jobs[] = [];

/** Open until `closeJobs` at the latest. */
export async function openJobs(url: string, options: { settleMs?: number; delay?: Delay } = {}) {
  const lines: Line[] = [];
  const settings = readRabbitmqUrl({ RABBITMQ_URL: url });
  if (!settings) throw new Error("expected a URL");
  const log = createLog((line) => lines.push(line));
  const nowMs = () => performance.now();
  const jobs = await createRabbitmqJobs({ ...settings, log, nowMs, settleMs: SETTLE_MS, ...options });
  opened.push(jobs);
  return { jobs, lines };
}

export async function closeJobs(): Promise<void> {
  await Promise.all(opened.splice(0).map((jobs) => jobs.close()));
}

/** What comes. */
export function collect(jobs: Jobs, queue: string): Envelope[] {
  const got: Envelope[] = [];
  jobs.receive(queue, async (batch) => {
    got.push(...batch);
  });
  return got;
}

export function message(id: string = randomUUID()): Envelope {
  return {
    ...{ id, type: "mail.deliver", source: "bodega/test", key: "key", time: new Date("2026-01-05T08:00:00.123Z") },
    ...{ body: Buffer.from(id), traceparent: "trace", correlationId: "request" },
  };
}

export async function outcomeOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => "done",
    (error: Error) => error.message,
  );
}

/** With a connection of the test's own. */
export async function bare<T>(url: string, work: (channel: ConfirmChannel) => Promise<T>): Promise<T> {
  const connection = await connect(url);
  try {
    const channel = await connection.createConfirmChannel();
    // The call that failed rejects with the same; unheard it would end the process.
    channel.on("error", () => {});
    return await work(channel);
  } finally {
    await connection.close();
  }
}

/** As by hand: with its mark, or it would be taken for one that never was in use. */
export function deleteQueue(url: string, queue: string): Promise<void> {
  return bare(url, async (channel) => {
    await channel.deleteQueue(`bodega.jobs.${queue}`);
  });
}

/** Senders that do not stop, and a receiver that writes down what comes. */
export function load(jobs: Jobs, queue: string) {
  const sent: string[] = [];
  const refusals: string[] = [];
  const got = new Map<string, number>();
  const subscription = jobs.receive(queue, async (batch) => {
    for (const { id } of batch) got.set(id, (got.get(id) ?? 0) + 1);
  });
  let sending = true;
  const senders = Array.from({ length: 8 }, async () => {
    while (sending) {
      const batch = Array.from({ length: 5 }, () => message());
      const outcome = await outcomeOf(jobs.send(queue, batch));
      if (outcome === "done") sent.push(...batch.map(({ id }) => id));
      else refusals.push(outcome);
      // A broker takes more than a test can look through.
      await Bun.sleep(2);
    }
  });
  return {
    sent,
    refusals,
    got,
    lost: () => sent.filter((id) => !got.has(id)).length,
    /** Those that an inbox would have to keep from being done again. */
    redelivered: () => [...got.values()].filter((times) => times > 1).length,
    async stop() {
      sending = false;
      await Promise.all(senders);
    },
    close: () => subscription.close(),
  };
}
