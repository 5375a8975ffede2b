// Debezium in place of the relays: what it does not tell nobody tells, and what waited for it is told when it is back; then it is killed under load.
import { GetBacklogResponseSchema } from "../../packages/api/gen/bodega/ops/v1/ops_pb.ts";
import type { Counts } from "../../scripts/command.ts";
import { until } from "../../scripts/servers/until.ts";
import { must } from "../chaos/client.ts";
import { oneOrder } from "../chaos/one-order.ts";
import { createChecks, unless } from "../observability/check.ts";
import { befall } from "./befall.ts";
import type { Event } from "./events.ts";
import type { Trial } from "./trial.ts";

/** A relay of ours takes a tenth of a second. */
const AWAY_MS = 10_000;
/** What a service logs when it tells by itself what did not come through Debezium. */
const OVERTAKEN = "relay.overtaken";

export async function debeziumIn(trial: Trial, events: Event[]): Promise<Counts> {
  const { swarm, client, shop } = trial;
  const checks = createChecks();
  const waiting = async () => {
    const asked = { method: "GET", path: "/v1/backlog", token: shop.adminToken } as const;
    const { backlogs } = await must(client.ask(GetBacklogResponseSchema, asked));
    return Number(backlogs.find(({ service }) => service === "order")?.outbox ?? 0n);
  };
  await checks.checkNow("an order comes to its end", async () => {
    await oneOrder(client, shop);
    return undefined;
  });
  await until("all facts were read back", async () => (await waiting()) === 0);
  await swarm.scale({ connect: 0 });
  let completed = false;
  const order = oneOrder(client, shop).then(() => {
    completed = true;
  });
  await checks.checkNow("while Kafka Connect is away facts wait, and nobody else tells them", async () => {
    await Promise.race([order, Bun.sleep(AWAY_MS)]);
    const count = await waiting();
    return unless(
      !completed && count > 0,
      () => `${count} facts wait, the order is ${completed ? "" : "not "}completed`,
    );
  });
  await swarm.scale({ connect: 1 });
  await checks.checkNow("they are told when it is back", async () => {
    await order;
    return undefined;
  });
  const { passed, failed, skipped } = await befall(trial, events);
  await checks.checkNow("no service had to tell by itself what Debezium did not", async () => {
    const logs = await swarm.logs();
    const lines = logs.flatMap(({ said }) => said.split("\n")).filter((line) => line.includes(OVERTAKEN));
    return unless(lines.length === 0, () => lines.slice(0, 3).join("; "));
  });
  const own = checks.counts();
  return { passed: passed + own.passed, failed: failed + own.failed, skipped: skipped + own.skipped };
}
