import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Database, openDatabase } from "../packages/database/database.ts";
import { carriedBy } from "../scripts/copy/carried.ts";
import { PORTS } from "../scripts/copy/ports.ts";
import { postgresIn } from "../scripts/copy/postgres.ts";
import { startCopy } from "../scripts/copy/start.ts";

/** A platform of its own, as a user starts it: one process, its private PostgreSQL with fsync on, everything in a folder that goes. */
export interface Stack {
  edge: string;
  grpcPort: number;
  mailCatcher: string;
  adminEmail: string;
  adminPassword: string;
  folder: string;
  logFile: string;
  /** Facts are carried by real brokers, which do not tell what they still hold. */
  brokers: boolean;
  serverPid: number;
  postgresPid: number;
  /** A superuser's URL of a database of this stack's server. */
  databaseUrl(name: string): string;
  /** A service's own database, for counting. */
  database(service: string): Database;
  close(): Promise<void>;
}

const ADMIN_EMAIL = "admin@bodega.test";
const ADMIN_PASSWORD = "bench-admin-password-1";
const LOOK_MS = 20;
/** Half a second. */
const CALM_LOOKS_OF_BROKERS = 25;

/** `without` names services that are left out. */
export async function startStack(
  env: Record<string, string> = {},
  bunArgs: string[] = [],
  without: string[] = [],
): Promise<Stack> {
  const folder = mkdtempSync(join(tmpdir(), "bodega-bench-"));
  const ports = Object.fromEntries(Object.keys(PORTS).map((name) => [name, "0"]));
  const quiet = { RATE_LIMITS: "off", DEMO: "off", KITCHEN_STAFF: "off", ADMIN_EMAIL, ADMIN_PASSWORD };
  const logFile = join(folder, "server.log");
  const copy = startCopy({
    env: { DATA_DIR: folder, ...ports, ...quiet, ...env },
    logFile,
    bunArgs,
    ...(without.length > 0 && { runs: ["all", "without", ...without] }),
  });
  const databases = new Map<string, Database>();
  async function close() {
    await Promise.all([...databases.values()].map((database) => database.close()));
    await copy.end();
    rmSync(folder, { recursive: true, force: true });
  }
  try {
    await copy.open();
    const said = copy.said();
    const postgres = postgresIn(folder);
    return {
      edge: addressIn(said, "Edge"),
      grpcPort: Number(/gRPC +\S+:(\d+)/.exec(said)?.[1]),
      mailCatcher: addressIn(said, "Mail catcher"),
      adminEmail: ADMIN_EMAIL,
      adminPassword: ADMIN_PASSWORD,
      folder,
      logFile,
      brokers: env["KAFKA_BROKERS"] !== undefined,
      serverPid: copy.pid,
      postgresPid: postgres.pid,
      databaseUrl: postgres.urlOf,
      database(service) {
        const found = databases.get(service) ?? openDatabase(postgres.urlOf(`bodega_${service}`), "bench");
        databases.set(service, found);
        return found;
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function addressIn(banner: string, name: string): string {
  const found = new RegExp(`${name} +(http://\\S+)`).exec(banner)?.[1];
  if (!found) throw new Error(`the banner names no ${name}: ${banner}`);
  return found;
}

/** Resolves when no fact waits to be published or heard and no job is due; gives back how many seconds that took. */
export async function settled(stack: Stack, services: string[]): Promise<number> {
  const started = performance.now();
  const idle = async () => {
    for (const service of services) {
      const [row] = await stack.database(service).sql<{ busy: boolean }[]>`
        select exists (select from outbox) or exists (select from jobs where due_at <= clock_timestamp() + interval '1 minute') as busy`;
      if (row?.busy) return false;
    }
    if (stack.brokers) return true;
    return (await carriedBy(stack.database("broker").sql)) === 0;
  };
  // A fact may be between two places when one look passes: several looks in a row must find nothing.
  const calmLooks = stack.brokers ? CALM_LOOKS_OF_BROKERS : 2;
  for (let calm = 0; calm < calmLooks; calm = (await idle()) ? calm + 1 : 0) await Bun.sleep(LOOK_MS);
  return (performance.now() - started) / 1_000;
}
