import { createLog } from "../../packages/telemetry/log.ts";
import { createMetrics } from "../../packages/telemetry/metrics.ts";
import { loadServices, SERVICE_NAMES } from "../../services/all.ts";
import { type Platform, startPlatform } from "../../services/platform.ts";
import { testPostgres } from "./postgres.ts";
import { ENVIRONMENT, type System } from "./system.ts";

/** The platform once more, over the databases and by the clock of a system under test: a neighbour of it, or what comes up after it. */
export async function startSecondInstance(system: System): Promise<Platform> {
  const { clock, random, lines } = system;
  const [row] = await system.broker.sql<{ name: string }[]>`select current_database() as name`;
  const { ADMIN_PASSWORD: _, ...env } = ENVIRONMENT;
  return startPlatform({
    services: await loadServices(SERVICE_NAMES, env),
    databaseUrl: await testPostgres(),
    databasePrefix: (row?.name ?? "").replace(/_broker$/, ""),
    secret: "test",
    relay: "poll",
    clock,
    securityClock: clock,
    random,
    log: createLog((line) => lines.push(line)).with({ instance: "second" }),
    metrics: createMetrics(),
  });
}
