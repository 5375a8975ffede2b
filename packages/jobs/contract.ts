import { expect } from "bun:test";
import { randomUUID } from "node:crypto";
import { eventually } from "../../tests/kit/eventually.ts";
import { promisesOf, type Skip } from "../../tests/kit/promise.ts";
import type { Envelope } from "../api/envelope.ts";
import type { Jobs } from "./jobs.ts";

/** What every adapter of the jobs port owes. `skip` names tests an adapter cannot pass, with the reason, or says why none can be tried. */
export function jobsContract(
  name: string,
  open: () => Promise<{ jobs: Jobs; reopen(): Promise<Jobs> }>,
  skip?: Skip,
): void {
  const check = promisesOf("jobs", name, skip);

  check("a job reaches the worker of its queue, whole, and no other", async () => {
    const { jobs } = await open();
    const mail = collect(jobs, "mail");
    const order = collect(jobs, "order");
    const [sent] = messages(1);
    await jobs.send("mail", [sent]);
    await eventually(() => mail.got.length === 1);
    expect(mail.got).toEqual([sent]);
    expect(order.got).toEqual([]);
    await jobs.close();
  });

  check("it says how it is: each queue and how many wait in it, and nothing is wrong when all are taken", async () => {
    const { jobs } = await open();
    const depths = async () => {
      const { figures } = await jobs.inspect();
      const { queues } = figures as { queues: { queue: string; depth?: number }[] };
      return queues.map(({ queue, depth }) => `${queue.split(".").at(-1)} ${depth}`);
    };
    await jobs.send("mail", messages(3));
    expect(await depths()).toEqual(["mail 3"]);
    collect(jobs, "mail");
    await eventually(async () => String(await depths()) === "mail 0" && (await jobs.inspect()).troubles.length === 0);
    await jobs.close();
  });

  check("jobs sent before there is a worker wait for it", async () => {
    const { jobs } = await open();
    await jobs.send("mail", messages(3));
    expect(await jobs.undelivered()).toBe(3);
    const { got } = collect(jobs, "mail");
    await eventually(() => got.length === 3);
    await jobs.close();
  });

  check("of two workers, one gets each job", async () => {
    const { jobs } = await open();
    const workers = [collect(jobs, "mail"), collect(jobs, "mail")];
    await Promise.all(messages(60).map((message) => jobs.send("mail", [message])));
    await eventually(async () => (await jobs.undelivered()) === 0);
    const ids = workers.flatMap(({ got }) => got.map(({ id }) => id));
    expect(ids).toHaveLength(60);
    expect(new Set(ids).size).toBe(60);
    await jobs.close();
  });

  check("a batch whose handler rejects is delivered again", async () => {
    const { jobs } = await open();
    const got: string[] = [];
    let failures = 3;
    jobs.receive("mail", async (batch) => {
      if (failures-- > 0) throw new Error("not now");
      got.push(...batch.map(({ id }) => id));
    });
    const sent = messages(5);
    await jobs.send("mail", sent);
    await eventually(() => got.length >= 5);
    expect(new Set(got)).toEqual(new Set(sent.map(({ id }) => id)));
    await jobs.close();
  });

  check("a restart loses nothing", async () => {
    const { jobs, reopen } = await open();
    const sent = messages(4);
    await jobs.send("mail", sent);
    await jobs.close();
    const again = await reopen();
    const { got } = collect(again, "mail");
    await eventually(() => got.length >= 4);
    expect(new Set(got.map(({ id }) => id))).toEqual(new Set(sent.map(({ id }) => id)));
    await again.close();
  });

  check("a wake-up reaches who works its queue, and nobody else", async () => {
    const { jobs } = await open();
    const [mail, order] = [collect(jobs, "mail"), collect(jobs, "order")];
    for (const ms of [2_100, 3_200, 4_300]) jobs.wakeLater("mail", ms);
    await eventually(() => mail.wakeUps === 3);
    expect(order.wakeUps).toBe(0);
    expect([...mail.got, ...order.got]).toEqual([]);
    expect(await jobs.undelivered()).toBe(0);
    await jobs.close();
  });

  check("however many wait for the same second, it is one wake-up", async () => {
    const { jobs } = await open();
    const mail = collect(jobs, "mail");
    for (let i = 0; i < 1_000; i++) jobs.wakeLater("mail", 2_500);
    jobs.wakeLater("mail", 4_000);
    await eventually(() => mail.wakeUps >= 2);
    // On the edge of a second some fall into the next.
    expect(mail.wakeUps).toBeLessThanOrEqual(3);
    await jobs.close();
  });

  check("close waits for the handler that runs", async () => {
    const { jobs } = await open();
    let state = "idle";
    const started = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    jobs.receive("mail", async () => {
      state = "running";
      started.resolve();
      await release.promise;
      state = "done";
    });
    await jobs.send("mail", messages(1));
    await started.promise;
    const closing = jobs.close();
    expect(state).toBe("running");
    release.resolve();
    await closing;
    expect(state).toBe("done");
  });
}

function collect(jobs: Jobs, queue: string) {
  const collected = { got: [] as Envelope[], wakeUps: 0 };
  jobs.receive(
    queue,
    async (batch) => {
      collected.got.push(...batch);
    },
    () => {
      collected.wakeUps += 1;
    },
  );
  return collected;
}

function messages(count: number): [Envelope, ...Envelope[]] {
  const make = (index: number): Envelope => ({
    id: randomUUID(),
    type: "mail.deliver",
    source: "bodega/test",
    key: `mail-${index}`,
    time: new Date("2026-01-05T08:00:00.123Z"),
    body: Buffer.from([index]),
    traceparent: `00-${"a".repeat(32)}-${"b".repeat(16)}-01`,
    correlationId: `request-${index}`,
  });
  return [make(0), ...Array.from({ length: count - 1 }, (_, index) => make(index + 1))];
}
