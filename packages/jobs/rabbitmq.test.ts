import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { randomUUID } from "node:crypto";
import { type ConfirmChannel, connect } from "amqplib";
import { NO_RABBITMQ, type RabbitServer, startRabbit } from "../../tests/rabbitmq.ts";
import { eventually } from "../service/eventually.ts";
import { createLog, type Line } from "../telemetry/log.ts";
import { jobsContract } from "./contract.ts";
import type { JobMessage, Jobs } from "./jobs.ts";
import { createRabbitJobs } from "./rabbitmq.ts";
import { readRabbitUrl } from "./rabbitmq-url.ts";

setDefaultTimeout(120_000);

function withRabbit(title: string, work: () => Promise<void>): void {
  if (NO_RABBITMQ) test.skip(`${title} (${NO_RABBITMQ})`, work);
  else test(title, work);
}

async function open(url: string) {
  const lines: Line[] = [];
  const jobs = await createRabbitJobs({ nodes: readRabbitUrl(url), log: createLog((line) => lines.push(line)) });
  return { jobs, lines };
}

function message(id: string = randomUUID()): JobMessage {
  return { id, type: "mail.deliver", key: "key", body: Buffer.from(id), traceparent: "trace", requestId: "request" };
}

function collect(jobs: Jobs, queue: string) {
  const got: string[] = [];
  const subscription = jobs.receive(queue, async (batch) => {
    got.push(...batch.map(({ id }) => id));
  });
  return { got, subscription };
}

async function outcomeOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => "sent",
    (error: Error) => error.message,
  );
}

describe("one RabbitMQ", () => {
  let server: RabbitServer;
  beforeAll(async () => {
    if (!NO_RABBITMQ) server = await startRabbit();
  });
  afterAll(() => server?.end());

  /** With a connection of the test's own. */
  async function bare<T>(work: (channel: ConfirmChannel) => Promise<T>): Promise<T> {
    const connection = await connect(server.url);
    try {
      return await work(await connection.createConfirmChannel());
    } finally {
      await connection.close();
    }
  }

  /** What the queue holds, taken away. */
  function drain(queue: string): Promise<string[]> {
    return bare(async (channel) => {
      const bodies: string[] = [];
      for (let next = await channel.get(queue, { noAck: true }); next; next = await channel.get(queue, { noAck: true }))
        bodies.push(next.content.toString());
      return bodies;
    });
  }

  jobsContract(
    "rabbitmq",
    async () => {
      for (const queue of ["mail", "order"]) await bare((channel) => channel.deleteQueue(`bodega.jobs.${queue}`));
      return { jobs: (await open(server.url)).jobs, reopen: async () => (await open(server.url)).jobs };
    },
    NO_RABBITMQ || {},
  );

  withRabbit("a job that no queue takes is not sent, and the next one makes the queue again", async () => {
    const { jobs } = await open(server.url);
    await jobs.send("deleted", [message()]);
    await bare((channel) => channel.deleteQueue("bodega.jobs.deleted"));
    expect(await outcomeOf(jobs.send("deleted", [message()]))).toMatch("no queue takes jobs for deleted");
    expect(await outcomeOf(jobs.send("deleted", [message()]))).toBe("sent");
    expect(await jobs.undelivered()).toBe(1);
    await jobs.close();
  });

  withRabbit("processes that come at the same moment make one queue, which works", async () => {
    const processes = await Promise.all(Array.from({ length: 4 }, () => open(server.url)));
    for (let i = 0; i < 10; i++) {
      const got = processes.map(({ jobs }) => collect(jobs, `crowded-${i}`).got);
      await Promise.all(processes.map(({ jobs }) => jobs.send(`crowded-${i}`, [message()])));
      await eventually(() => got.flat().length === processes.length);
    }
    await Promise.all(processes.map(({ jobs }) => jobs.close()));
  });

  withRabbit("a queue deleted under its worker is made again, and worked", async () => {
    const { jobs, lines } = await open(server.url);
    const { got } = collect(jobs, "torn");
    await jobs.send("torn", [message("before")]);
    await eventually(() => got.length === 1);
    await bare((channel) => channel.deleteQueue("bodega.jobs.torn"));
    await eventually(() => lines.some(({ event }) => event === "rabbitmq.starting_over"));
    await eventually(async () => (await outcomeOf(jobs.send("torn", [message("after")]))) === "sent");
    await eventually(() => got.includes("after"));
    await jobs.close();
  });

  withRabbit("what can never be taken in is parked by the broker, and stops nothing", async () => {
    const { jobs } = await open(server.url);
    const got: string[] = [];
    let offered = 0;
    jobs.receive("sick", async (batch) => {
      if (batch.some(({ id }) => id === "poison")) {
        offered += 1;
        throw new Error("not in a thousand years");
      }
      got.push(...batch.map(({ id }) => id));
    });
    await jobs.send("sick", [message("poison"), message("good")]);
    await eventually(() => got.includes("good"));
    for (let i = 0; (await drain("bodega.parked.sick")).length === 0; i++) {
      await jobs.send("sick", [message(`good ${i}`)]);
      await eventually(() => got.includes(`good ${i}`));
    }
    expect(offered).toBeGreaterThan(20);
    await eventually(async () => (await jobs.undelivered()) === 0);
    await jobs.close();
  });

  withRabbit("a message that is no job is parked at once", async () => {
    const { jobs, lines } = await open(server.url);
    const { got } = collect(jobs, "foreign");
    await jobs.send("foreign", [message("first")]);
    await bare(async (channel) => {
      channel.publish("bodega.jobs", "foreign", Buffer.from("hello"), { persistent: true });
      await channel.waitForConfirms();
    });
    let parked: string[] = [];
    await eventually(async () => {
      parked = await drain("bodega.parked.foreign");
      return parked.length > 0;
    });
    expect(parked).toEqual(["hello"]);
    expect(got).toEqual(["first"]);
    expect(lines.map(({ event }) => event)).toContain("jobs.parked");
    await jobs.close();
  });

  withRabbit("an outage of the receiver, however long, parks nothing", async () => {
    const { jobs } = await open(server.url);
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
      Array.from({ length: 10 }, (_, i) => message(String(i))),
    );
    await eventually(() => refused > 15);
    out = false;
    await eventually(() => got.length === 10);
    expect(await drain("bodega.parked.patient")).toEqual([]);
    await jobs.close();
  });

  withRabbit("a wrong password is told as such, and never shown", async () => {
    const url = new URL(server.url);
    url.password = "wrong-secret";
    const told = await open(url.href).then(
      () => "connected",
      (error: Error) => error.message,
    );
    expect(told).toMatch("refuses the user and password of RABBITMQ_URL");
    expect(told).not.toContain("wrong-secret");
  });

  // Open: RabbitMQ 3.10.8 alone, killed -9 amid traffic, starts and often elects no leader for the busy queue again, whoever asks;
  // sends are refused in time then, and nothing is told as sent. Passes when it does elect one. To be settled before it counts.
  test.todo("killed and started again amid sending and taking: what was sent arrives", async () => {
    const { jobs, lines } = await open(server.url);
    const got = new Set<string>();
    jobs.receive("steady", async (batch) => {
      for (const { id } of batch) got.add(id);
    });
    const sent: string[] = [];
    const refusals: string[] = [];
    let sending = true;
    const senders = Array.from({ length: 8 }, async () => {
      while (sending) {
        const batch = Array.from({ length: 5 }, () => message());
        const outcome = await outcomeOf(jobs.send("steady", batch));
        if (outcome === "sent") sent.push(...batch.map(({ id }) => id));
        else refusals.push(outcome);
        // A broker takes more than a test can look through.
        await Bun.sleep(2);
      }
    });
    await eventually(() => sent.length > 500);
    await server.kill();
    await eventually(() => refusals.length > 0);
    const before = sent.length;
    await server.start();
    await eventually(() => sent.length > before + 500);
    sending = false;
    await Promise.all(senders);
    await eventually(() => sent.every((id) => got.has(id)));
    await eventually(async () => (await jobs.undelivered()) === 0);
    expect(await drain("bodega.parked.steady")).toEqual([]);
    expect(lines.map(({ event }) => event)).toContain("rabbitmq.failed");
    await jobs.close();
  });

  withRabbit("frozen: a send is refused in time, and works when it thaws", async () => {
    const { jobs } = await open(server.url);
    await jobs.send("frozen", [message()]);
    server.freeze();
    // Its threads stop one after the other.
    await eventually(async () => /no confirmation within/.test(await outcomeOf(jobs.send("frozen", [message()]))));
    server.thaw();
    await eventually(async () => (await outcomeOf(jobs.send("frozen", [message()]))) === "sent");
    await jobs.close();
  });
});

test("where no RabbitMQ is, the start says so", async () => {
  const told = await open("amqp://127.0.0.1:1,amqp://127.0.0.1:2").then(
    () => "connected",
    (error: Error) => error.message,
  );
  expect(told).toMatch("RabbitMQ at 127.0.0.1:1, 127.0.0.1:2 failed");
});
