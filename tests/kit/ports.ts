import { openDatabase } from "../../packages/database/database.ts";
import { createEmbeddedEvents } from "../../packages/events/embedded.ts";
import { createEmbeddedJobs } from "../../packages/jobs/embedded.ts";
import { createEmbeddedLocks } from "../../packages/locks/embedded.ts";
import type { Ports } from "../../packages/service/engine/runtime.ts";
import { createVerifier } from "../../packages/service/wire/tokens.ts";
import { createLog, type Line } from "../../packages/telemetry/log.ts";
import { createMetrics } from "../../packages/telemetry/metrics.ts";
import { type DrivenClock, drivenClock } from "../../packages/time/clock.ts";
import { systemRandom } from "../../packages/time/random.ts";
import { brokerDatabase, testDatabase } from "./databases.ts";

/** Ports for one service under test, on databases of its own; `again` gives the same to a second process of it. */
export interface TestPorts {
  ports: Ports;
  clock: DrivenClock;
  lines: Line[];
  again(): Ports;
}

export async function testPorts(): Promise<TestPorts> {
  const [own, broker] = await Promise.all([testDatabase(), brokerDatabase()]);
  const clock = drivenClock(new Date("2026-01-05T08:00:00Z"));
  const random = systemRandom(clock);
  const lines: Line[] = [];
  const log = createLog((line) => lines.push(line));
  const metrics = createMetrics();
  const portsOn = (url: string): Ports => ({
    database: openDatabase(url, "test"),
    relayUrl: url,
    relay: "poll",
    events: createEmbeddedEvents(broker.database, log, clock.now),
    jobs: createEmbeddedJobs(broker.database, log),
    locks: createEmbeddedLocks(() => performance.now(), random.id),
    clock,
    random,
    log,
    metrics,
    verifier: createVerifier(async () => ({ keys: [] }), clock),
    transport: (service) => {
      throw new Error(`${service.typeName} does not run in this test`);
    },
    serviceToken: async () => "",
  });
  return { ports: portsOn(own.url), clock, lines, again: () => portsOn(own.url) };
}
