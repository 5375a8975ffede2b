import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout } from "bun:test";
import { eventually } from "../../tests/kit/eventually.ts";
import { testPorts } from "../../tests/kit/ports.ts";
import { NO_RABBITMQ_CLUSTER, type RabbitCluster, startRabbitCluster } from "../../tests/kit/servers/rabbitmq.ts";
import {
  closeJobs,
  collect,
  deleteQueue,
  load,
  message,
  openJobs,
  outcomeOf,
} from "../../tests/kit/servers/rabbitmq-jobs.ts";
import { startTcpProxy } from "../../tests/kit/tcp-proxy.ts";
import { testUnless } from "../../tests/kit/test-unless.ts";
import { DeliverMail } from "../api/jobs.ts";
import { runService } from "../service/engine/runtime.ts";
import { doesMany, service } from "../service/service.ts";
import { jobsContract } from "./contract.ts";
import { SETTLE_MS } from "./rabbitmq-queues.ts";

setDefaultTimeout(300_000);

const withCluster = testUnless(NO_RABBITMQ_CLUSTER);
afterEach(closeJobs);

describe("three RabbitMQ behind HAProxy", () => {
  let cluster: RabbitCluster;
  beforeAll(async () => {
    if (!NO_RABBITMQ_CLUSTER) cluster = await startRabbitCluster();
  });
  afterAll(() => cluster?.end());

  jobsContract(
    "rabbitmq cluster",
    async () => {
      for (const queue of ["mail", "order"]) await deleteQueue(cluster.url, queue);
      return { jobs: (await openJobs(cluster.url)).jobs, reopen: async () => (await openJobs(cluster.url)).jobs };
    },
    NO_RABBITMQ_CLUSTER,
  );

  withCluster("each node killed in turn amid sending and taking, so the leader too: nothing sent is lost", async () => {
    const { jobs } = await openJobs(cluster.url, { settleMs: SETTLE_MS });
    const under = load(jobs, "steady");
    await eventually(() => under.sent.length > 500);
    for (const node of cluster.nodes) {
      await node.kill();
      // Two of three go on.
      const before = under.sent.length;
      await eventually(() => under.sent.length > before + 500);
      await node.start();
    }
    await under.stop();
    await eventually(() => under.lost() === 0);
    await eventually(async () => (await jobs.undelivered()) === 0);
    say(`${under.sent.length} sent, ${under.lost()} lost, ${under.redelivered()} came again`);
  });

  withCluster(
    "all killed at once and started again, as soon as the first job was sent: nothing sent is lost",
    async () => {
      const { jobs } = await openJobs(cluster.url, { settleMs: SETTLE_MS });
      const under = load(jobs, "felled");
      await eventually(() => under.sent.length > 0);
      await Promise.all(cluster.nodes.map((node) => node.kill()));
      const refusals = under.refusals.length;
      await eventually(() => under.refusals.length > refusals);
      await Promise.all(cluster.nodes.map((node) => node.start()));
      const before = under.sent.length;
      await eventually(() => under.sent.length > before + 500);
      await under.stop();
      await eventually(() => under.lost() === 0);
      say(`${under.sent.length} sent, ${under.lost()} lost, ${under.redelivered()} came again`);
    },
  );

  withCluster("from transaction to transaction, a node killed in between: every job is done, and once", async () => {
    const [asking, doing] = await Promise.all([testPorts(), testPorts()]);
    const connections = await Promise.all([1, 2].map(() => openJobs(cluster.url, { settleMs: SETTLE_MS })));
    const [sending, taking] = connections.map(({ jobs }) => jobs);
    if (!sending || !taking) throw new Error("expected two connections");
    const asker = await runService(service({ name: "order", config: {}, answers: [], hears: [], does: [] }), {
      ...asking.ports,
      jobs: sending,
    });
    await doing.ports.database.sql`create table done (mail_id text not null)`;
    const work = doesMany(DeliverMail, async (_app, tx, messages) => {
      await tx.sql`insert into done select unnest(${messages.map(({ body }) => body.mailId)}::text[])`;
    });
    const doer = await runService(service({ name: "mail", config: {}, answers: [], hears: [], does: [work] }), {
      ...doing.ports,
      jobs: taking,
    });
    await asker.react();
    await doer.react();
    let asked = 0;
    let asks = true;
    const stream = async () => {
      for (; asks; asked += 20) {
        await asker.app.record((tx) => {
          for (let i = 0; i < 20; i++) tx.enqueue(DeliverMail, { mailId: `mail-${asked + i}` });
        });
        await Bun.sleep(20);
      }
    };
    const done = async () => {
      const [row] = await doing.ports.database.sql<{ all: bigint; different: bigint }[]>`
        select count(*) as all, count(distinct mail_id) as different from done`;
      return { all: Number(row?.all), different: Number(row?.different) };
    };
    const streaming = stream();
    for (const node of cluster.nodes) {
      const { different } = await done();
      await eventually(async () => (await done()).different > different);
      await node.kill();
      await node.start();
    }
    asks = false;
    await streaming;
    await eventually(async () => (await done()).different === asked);
    await eventually(async () => (await sending.undelivered()) === 0);
    const counted = await done();
    say(`${asked} asked, ${asked - counted.different} lost, ${counted.all - counted.different} done twice`);
    expect(counted).toEqual({ all: asked, different: asked });
    await Promise.all([asker.close(), doer.close()]);
  });

  withCluster("a node that only stands still is left: sending and taking go on with the others", async () => {
    const { hostname, port } = new URL(cluster.url);
    const proxy = await startTcpProxy({ hostname, port: Number(port) });
    const { jobs } = await openJobs(`amqp://${hostname}:${proxy.port},${cluster.url}`);
    const got = collect(jobs, "left");
    await jobs.send("left", [message()]);
    await eventually(() => got.length === 1);
    proxy.swallow();
    const next = message();
    await eventually(async () => (await outcomeOf(jobs.send("left", [next]))) === "done");
    await eventually(() => got.some(({ id }) => id === next.id));
    await jobs.close();
    await proxy.end();
  });
});

function say(what: string) {
  process.stdout.write(`  ${what}\n`);
}
