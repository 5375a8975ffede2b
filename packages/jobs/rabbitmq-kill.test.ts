import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout } from "bun:test";
import { eventually } from "../../tests/kit/eventually.ts";
import { NO_RABBITMQ, type RabbitServer, startRabbit } from "../../tests/kit/servers/rabbitmq.ts";
import { bare, closeJobs, collect, load, message, openJobs, outcomeOf } from "../../tests/kit/servers/rabbitmq-jobs.ts";
import { testUnless } from "../../tests/kit/test-unless.ts";
import { jobsQueue, SETTLE_MS } from "./rabbitmq-queues.ts";

setDefaultTimeout(180_000);
const withRabbit = testUnless(NO_RABBITMQ);
afterEach(closeJobs);

describe("one RabbitMQ, killed", () => {
  let server: RabbitServer;
  beforeAll(async () => {
    if (!NO_RABBITMQ) server = await startRabbit();
  });
  afterAll(() => server?.end());

  withRabbit("a queue that was killed before it was written down is made again: nothing was sent to it", async () => {
    // The broker forgets which queue is which when it is killed within a second; sometimes it does not.
    await bare(server.url, (channel) =>
      channel.assertQueue("bodega.jobs.young", { durable: true, arguments: { "x-queue-type": "quorum" } }),
    );
    await server.kill();
    await server.start();
    const { jobs } = await openJobs(server.url);
    const got = collect(jobs, "young");
    await eventually(async () => (await outcomeOf(jobs.send("young", [message()]))) === "done");
    await eventually(() => got.length === 1);
  });

  withRabbit(
    "a queue in use that has no leader is never made again by itself, and keeps nobody from the others",
    async () => {
      await bare(server.url, async (channel) => {
        const { name, arguments: wanted } = jobsQueue("dead");
        await channel.assertExchange(`bodega.settled.${name}`, "fanout", { durable: true, internal: true });
        await channel.assertQueue(name, { durable: true, arguments: wanted });
      });
      await server.kill();
      await server.start();
      const { jobs, lines } = await openJobs(server.url);
      const dead = collect(jobs, "dead");
      const alive = collect(jobs, "alive");
      const outcomes = await Promise.all(["dead", "alive"].map((queue) => outcomeOf(jobs.send(queue, [message()]))));
      expect(outcomes[0]).toMatch("no confirmation within");
      expect(outcomes[1]).toBe("done");
      await eventually(() => alive.length === 1);
      await eventually(() => lines.some(({ event }) => event === "rabbitmq.starting_over"));
      await jobs.send("alive", [message()]);
      await eventually(() => alive.length === 2);
      // A person decides, as docs/operations.md says.
      await bare(server.url, async (channel) => {
        await channel.deleteQueue("bodega.jobs.dead");
        await channel.deleteExchange("bodega.settled.bodega.jobs.dead");
      });
      await eventually(async () => (await outcomeOf(jobs.send("dead", [message()]))) === "done");
      await eventually(() => dead.length > 0);
    },
  );

  withRabbit("a queue with jobs in it is never made again, whatever its mark says", async () => {
    const { jobs } = await openJobs(server.url);
    const kept = message();
    await jobs.send("kept", [kept]);
    await jobs.close();
    await bare(server.url, (channel) => channel.deleteExchange("bodega.settled.bodega.jobs.kept"));
    const next = await openJobs(server.url);
    const got = collect(next.jobs, "kept");
    await eventually(() => got.some(({ id }) => id === kept.id));
  });

  withRabbit(
    "killed and started again amid sending and taking, as soon as the first job was sent: nothing sent is lost",
    async () => {
      // As the program does it, with the whole time to settle.
      const { jobs, lines } = await openJobs(server.url, { settleMs: SETTLE_MS });
      const under = load(jobs, "steady");
      for (let kills = 0; kills < 3; kills++) {
        const before = under.sent.length;
        await eventually(() => under.sent.length > before);
        const refusals = under.refusals.length;
        await server.kill();
        await eventually(() => under.refusals.length > refusals);
        await server.start();
      }
      const before = under.sent.length;
      await eventually(() => under.sent.length > before + 500);
      await under.stop();
      await eventually(() => under.lost() === 0);
      await eventually(async () => (await jobs.undelivered()) === 0);
      expect(lines.map(({ event }) => event)).toContain("rabbitmq.failed");
    },
  );
});
