import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { eventually } from "../../tests/kit/eventually.ts";
import { NO_RABBITMQ, type RabbitServer, startRabbit } from "../../tests/kit/servers/rabbitmq.ts";
import {
  bare,
  closeJobs,
  collect,
  deleteQueue,
  message,
  openJobs,
  outcomeOf,
} from "../../tests/kit/servers/rabbitmq-jobs.ts";
import { startTcpProxy } from "../../tests/kit/tcp-proxy.ts";
import { testUnless } from "../../tests/kit/test-unless.ts";
import type { Envelope } from "../api/envelope.ts";
import { jobsContract } from "./contract.ts";

setDefaultTimeout(120_000);
const withRabbit = testUnless(NO_RABBITMQ);
afterEach(closeJobs);

describe("one RabbitMQ", () => {
  let server: RabbitServer;
  beforeAll(async () => {
    if (!NO_RABBITMQ) server = await startRabbit();
  });
  afterAll(() => server?.end());

  jobsContract(
    "rabbitmq",
    async () => {
      for (const queue of ["mail", "order"]) await deleteQueue(server.url, queue);
      return { jobs: (await openJobs(server.url)).jobs, reopen: async () => (await openJobs(server.url)).jobs };
    },
    NO_RABBITMQ,
  );

  withRabbit("a job that no queue takes is not sent, and the next one makes the queue again", async () => {
    const { jobs } = await openJobs(server.url);
    await jobs.send("deleted", [message()]);
    await deleteQueue(server.url, "deleted");
    expect(await outcomeOf(jobs.send("deleted", [message()]))).toMatch("no queue takes jobs for deleted");
    expect(await outcomeOf(jobs.send("deleted", [message()]))).toBe("done");
    expect(await jobs.undelivered()).toBe(1);
  });

  withRabbit("a queue that nobody works, and one that is not there, are troubles", async () => {
    const { jobs } = await openJobs(server.url);
    await jobs.send("idle", [message()]);
    const { found, figures, troubles } = await jobs.inspect();
    expect(found).toMatch(/^RabbitMQ \d+\.\d+\.\d+, 1 queue, 1 job not taken yet$/);
    expect(figures).toMatchObject({ queues: [{ queue: "bodega.jobs.idle", depth: 1, consumers: 0 }] });
    const says = "queue bodega.jobs.idle has no consumers, and 1 job in it";
    expect(troubles).toEqual([{ says, fix: expect.stringContaining("start a process of its service") }]);
    await deleteQueue(server.url, "idle");
    expect((await jobs.inspect()).troubles.map(({ says }) => says)).toEqual(["queue bodega.jobs.idle is not there"]);
  });

  withRabbit("processes that come at the same moment make one queue, which works", async () => {
    const processes = await Promise.all(Array.from({ length: 4 }, () => openJobs(server.url)));
    await Promise.all(
      Array.from({ length: 10 }, async (_, i) => {
        const got = processes.map(({ jobs }) => collect(jobs, `crowded-${i}`));
        await Promise.all(processes.map(({ jobs }) => jobs.send(`crowded-${i}`, [message()])));
        await eventually(() => got.flat().length === processes.length);
      }),
    );
  });

  withRabbit("a queue deleted under its worker is made again, and worked", async () => {
    const { jobs, lines } = await openJobs(server.url);
    const got = collect(jobs, "torn");
    await jobs.send("torn", [message()]);
    await eventually(() => got.length === 1);
    await deleteQueue(server.url, "torn");
    await eventually(() => lines.some(({ event }) => event === "rabbitmq.starting_over"));
    await eventually(async () => (await outcomeOf(jobs.send("torn", [message()]))) === "done");
    await eventually(() => got.length >= 2);
  });

  withRabbit("what is always refused keeps nobody back, and is there until it is taken", async () => {
    const { jobs } = await openJobs(server.url);
    const got: string[] = [];
    let offered = 0;
    let poisonous = true;
    const poison = message();
    jobs.receive("sick", async (batch) => {
      if (poisonous && batch.some(({ id }) => id === poison.id)) {
        offered += 1;
        throw new Error("not yet");
      }
      got.push(...batch.map(({ id }) => id));
    });
    await jobs.send("sick", [poison, message()]);
    // More often than a broker's own limit, which would drop it.
    while (offered < 50) {
      const good = message();
      await jobs.send("sick", [good]);
      await eventually(() => got.includes(good.id));
    }
    poisonous = false;
    await eventually(() => got.includes(poison.id));
    await eventually(async () => (await jobs.undelivered()) === 0);
  });

  withRabbit(
    "a message that is no job reaches the doer all the same, as one and in a shape its database takes",
    async () => {
      const { jobs } = await openJobs(server.url);
      const got = collect(jobs, "foreign");
      await jobs.send("foreign", [message()]);
      await bare(server.url, async (channel) => {
        channel.publish("bodega.jobs", "foreign", Buffer.from("hello"));
        channel.publish("bodega.jobs", "foreign", Buffer.from("hello"));
        channel.publish("bodega.jobs", "foreign", Buffer.from("ho"), { messageId: "17", headers: { key: "a\0b" } });
        await channel.waitForConfirms();
      });
      await eventually(() => got.length === 4);
      const [, hello, again, ho] = got;
      expect(hello).toMatchObject({ type: "(no type)", key: "", traceparent: "", correlationId: "" });
      expect(hello?.id).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
      // It has no time of its own: it is told when it arrived.
      expect(again).toEqual({ ...(hello as Envelope), time: expect.any(Date) });
      expect(ho?.id).not.toBe(hello?.id ?? "");
      expect(ho?.key).toBe("a\uFFFDb");
    },
  );

  withRabbit("an outage of the receiver, however long, loses nothing", async () => {
    const { jobs } = await openJobs(server.url);
    let out = true;
    let refused = 0;
    const got: string[] = [];
    jobs.receive("patient", async (batch) => {
      if (out) {
        refused += 1;
        throw new Error("no database");
      }
      got.push(...batch.map(({ id }) => id));
    });
    await jobs.send(
      "patient",
      Array.from({ length: 10 }, () => message()),
    );
    await eventually(() => refused > 15);
    out = false;
    await eventually(() => got.length === 10);
  });

  withRabbit("a wake-up waits in one queue after the other, until less than a second is left", async () => {
    const { jobs } = await openJobs(server.url);
    let wakeUps = 0;
    jobs.receive(
      "sleepy",
      async () => {},
      () => {
        wakeUps += 1;
      },
    );
    jobs.wakeLater("sleepy", 6_500);
    const waiting = (queue: string) =>
      bare(server.url, async (channel) => (await channel.checkQueue(queue)).messageCount);
    await eventually(async () => (await waiting("bodega.wait.4s").catch(() => 0)) === 1);
    await eventually(async () => (await waiting("bodega.wait.1s").catch(() => 0)) === 1);
    expect(wakeUps).toBe(0);
    await eventually(() => wakeUps === 1);
    expect(await jobs.undelivered()).toBe(0);
  });

  withRabbit("a wrong password is told as such, and never shown", async () => {
    const url = new URL(server.url);
    url.password = "wrong-secret";
    const told = await outcomeOf(openJobs(url.href));
    expect(told).toMatch("refuses the user and password of RABBITMQ_URL");
    expect(told).not.toContain("wrong-secret");
  });

  withRabbit("asked for a plugin that the broker has not, the start says so", async () => {
    expect(await outcomeOf(openJobs(server.url, { delay: "plugin" }))).toMatch(
      /RABBITMQ_DELAY is plugin, but .* enable its plugin rabbitmq_delayed_message_exchange/,
    );
  });

  withRabbit("frozen: a send is refused in time, and works when it thaws", async () => {
    const { jobs } = await openJobs(server.url);
    await jobs.send("frozen", [message()]);
    server.freeze();
    // Its threads stop one after the other.
    await eventually(async () => /no confirmation within/.test(await outcomeOf(jobs.send("frozen", [message()]))));
    server.thaw();
    await eventually(async () => (await outcomeOf(jobs.send("frozen", [message()]))) === "done");
  });

  withRabbit("a way that swallows everything: refused in time, given up, and taken again when it is open", async () => {
    const { hostname, port } = new URL(server.url);
    const proxy = await startTcpProxy({ hostname, port: Number(port) });
    const { jobs, lines } = await openJobs(`amqp://${hostname}:${proxy.port}`);
    const got = collect(jobs, "swallowed");
    await jobs.send("swallowed", [message()]);
    await eventually(() => got.length === 1);
    proxy.swallow();
    expect(await outcomeOf(jobs.send("swallowed", [message()]))).toMatch("no confirmation within");
    expect(await outcomeOf(jobs.undelivered())).toMatch("no answer within");
    // Both connections, without anybody sending.
    const givenUp = (purpose: string) =>
      lines.some(({ event, ...rest }) => event === "rabbitmq.failed" && JSON.stringify(rest).includes(purpose));
    await eventually(() => givenUp("sends jobs") && givenUp("takes jobs"));
    proxy.pass();
    const last = message();
    await eventually(async () => (await outcomeOf(jobs.send("swallowed", [last]))) === "done");
    await eventually(() => got.some(({ id }) => id === last.id));
    await jobs.close();
    await proxy.end();
  });
});

test("where no RabbitMQ is, the start says so", async () => {
  expect(await outcomeOf(openJobs("amqp://127.0.0.1:1,amqp://127.0.0.1:2"))).toMatch(
    "RabbitMQ at 127.0.0.1:1, 127.0.0.1:2 failed",
  );
});
