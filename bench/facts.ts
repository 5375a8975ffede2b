import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { UserVerified } from "../packages/api/facts.ts";
import type { UserVerified as Body } from "../packages/api/gen/bodega/auth/v1/events_pb.ts";
import { startEmbeddedPostgres } from "../packages/database/embedded.ts";
import { createKafkaEvents } from "../packages/events/kafka.ts";
import { type Message, onMany, service } from "../packages/service/service.ts";
import { createLog } from "../packages/telemetry/log.ts";
import { createMetrics } from "../packages/telemetry/metrics.ts";
import { systemClock } from "../packages/time/clock.ts";
import { systemRandom } from "../packages/time/random.ts";
import { postgresIn } from "../scripts/copy/postgres.ts";
import { type PlatformOptions, startPlatform } from "../services/platform.ts";
import { median, percentile, table } from "./figures.ts";
import type { Options } from "./place-order.ts";
import { cpuOf, cpuOfFamily } from "./processes.ts";
import type { Report } from "./run.ts";
import { startBenchServers } from "./servers.ts";

const FACTS_PER_SECOND = 1_000;
const ROUNDS = 3;
const WARM_UP_MS = 1_000;
const ROUND_MS = { quick: 2_000, full: 5_000 };
const HANDLED_MS_MAX = 60_000;

interface Round {
  facts: number;
  handled: number;
  p50Ms: number;
  p99Ms: number;
  /** Until the last was handled: of the process that tells, carries and hears, and of PostgreSQL. */
  cpuMicros: { process: number; postgres: number };
}

/** How facts get from one service to the other. */
interface Way {
  relay: "poll" | "wal";
  /** Another copy of the teller commits them than the one that carries them. */
  byAnother?: true;
  events?: () => NonNullable<PlatformOptions["events"]>;
}

const WAYS: Record<string, Way> = {
  poll: { relay: "poll" },
  wal: { relay: "wal" },
  "poll, committed elsewhere": { relay: "poll", byAnother: true },
  "wal, committed elsewhere": { relay: "wal", byAnother: true },
};

/**
 * From the moment a fact is committed until another service has handled it, a thousand a second: by either relay, committed where the relay works and in another
 * copy, through the embedded log; and with --servers in the same run through Kafka. Two services, databases of their own, fsync on.
 */
export async function facts({ quick, servers }: Options): Promise<Report> {
  const folder = mkdtempSync(join(tmpdir(), "bodega-bench-"));
  const closers: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
  try {
    const postgres = await startEmbeddedPostgres({ dataDir: folder, log: () => {} });
    closers.push(postgres.close);
    const log = createLog(() => {});
    const ways = { ...WAYS };
    if (servers) {
      const { env, close } = await startBenchServers(["kafka"]);
      closers.push(close);
      const brokers = (env["KAFKA_BROKERS"] ?? "").split(",");
      ways["poll, through Kafka"] = {
        relay: "poll",
        events: () => createKafkaEvents({ brokers, log, nowMs: () => performance.now() }),
      };
    }
    const rounds: Record<string, Round[]> = {};
    for (const [index, [name, way]] of Object.entries(ways).entries())
      rounds[name] = await measure(
        way,
        { url: postgres.url, pid: postgresIn(folder).pid, databasePrefix: `bench${index}` },
        quick,
      );
    return report(rounds);
  } finally {
    for (const close of closers.toReversed()) await close();
  }
}

async function measure(
  way: Way,
  { url, pid, databasePrefix }: { url: string; pid: number; databasePrefix: string },
  quick: boolean,
): Promise<Round[]> {
  const handledAt = new Map<string, number>();
  const hear = async (_app: unknown, _tx: unknown, messages: Message<Body>[]) => {
    const now = performance.now();
    for (const { body } of messages) handledAt.set(body.userId, now);
  };
  const named = (name: string) => ({ name, config: {}, answers: [], hears: [], does: [] });
  const tells = service(named("teller"));
  const hears = service({ ...named("hearer"), hears: [onMany(UserVerified, hear)] });
  const clock = systemClock();
  const random = systemRandom(clock);
  const start = (services: PlatformOptions["services"]) =>
    startPlatform({
      ...{ services, relay: way.relay, clock, random, databasePrefix, secret: "bench" },
      ...(way.events && { events: way.events() }),
      databaseUrl: url,
      securityClock: clock,
      log: createLog(() => {}),
      metrics: createMetrics(),
    });
  // The first leads: its relay carries what either commits.
  const platforms = [await start([tells, hears])];
  if (way.byAnother) platforms.push(await start([tells]));
  const teller = platforms.at(-1)?.services.find(({ name }) => name === "teller")?.app;
  if (!teller) throw new Error("expected the teller to run");
  const cpu = () => ({ process: cpuOf(process.pid), postgres: cpuOfFamily(pid) });

  async function round(ms: number): Promise<Round> {
    handledAt.clear();
    const committedAt = new Map<string, number>();
    const telling: Promise<void>[] = [];
    const before = cpu();
    const started = performance.now();
    for (let told = 0; performance.now() - started < ms; ) {
      for (; told < ((performance.now() - started) * FACTS_PER_SECOND) / 1_000; told++) {
        const userId = random.id();
        const recorded = teller?.record((tx) => tx.emit(UserVerified, { userId }));
        if (recorded) telling.push(recorded.then(() => void committedAt.set(userId, performance.now())));
      }
      await Bun.sleep(1);
    }
    await Promise.all(telling);
    const patience = AbortSignal.timeout(HANDLED_MS_MAX);
    while (handledAt.size < committedAt.size && !patience.aborted) await Bun.sleep(5);
    const after = cpu();
    const cpuMicros = { process: after.process - before.process, postgres: after.postgres - before.postgres };
    // A fact may be heard before its teller's own promise resolves.
    const took = Array.from(committedAt, ([userId, at]) => Math.max(0, (handledAt.get(userId) ?? Infinity) - at));
    const sorted = Float64Array.from(took).sort();
    const [p50Ms, p99Ms] = [percentile(sorted, 50), percentile(sorted, 99)];
    return { facts: committedAt.size, handled: handledAt.size, p50Ms, p99Ms, cpuMicros };
  }

  try {
    await round(WARM_UP_MS);
    const rounds: Round[] = [];
    for (let count = 0; count < ROUNDS; count++) rounds.push(await round(quick ? ROUND_MS.quick : ROUND_MS.full));
    return rounds;
  } finally {
    for (const platform of platforms.toReversed()) await platform.close();
  }
}

function report(rounds: Record<string, Round[]>): Report {
  const sum = (of: Round[], figure: "facts" | "handled") => of.reduce((total, round) => total + round[figure], 0);
  const rows = Object.entries(rounds).map(([name, of]) => [
    name,
    String(sum(of, "facts")),
    String(sum(of, "handled")),
    median(of.map(({ p50Ms }) => p50Ms)).toFixed(1),
    median(of.map(({ p99Ms }) => p99Ms)).toFixed(1),
    ...(["process", "postgres"] as const).map((whose) =>
      median(of.map(({ cpuMicros, facts }) => cpuMicros[whose] / facts)).toFixed(0),
    ),
  ]);
  const passed = Object.values(rounds).every((of) => sum(of, "facts") > 0 && sum(of, "facts") === sum(of, "handled"));
  const head = [
    `facts, ${FACTS_PER_SECOND}/s`,
    "committed",
    "handled",
    "p50 ms",
    "p99 ms",
    "process us",
    "PostgreSQL us",
  ];
  const said = passed ? "Proved: every fact that was committed was handled." : "VOID: not every fact was handled.";
  return { text: `${table(head, rows)}\n\n${said}`, figures: { rounds }, passed };
}
