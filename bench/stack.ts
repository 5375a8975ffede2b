import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Database, openDatabase } from "../packages/database/database.ts";
import { carriedBy } from "../tests/chaos/state.ts";

/** A platform of its own, as a user starts it: one process, its private PostgreSQL with fsync on, everything in a folder that goes. */
export interface Stack {
  edge: string;
  mailCatcher: string;
  adminEmail: string;
  adminPassword: string;
  folder: string;
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

const ROOT = join(import.meta.dir, "..");
const ADMIN_EMAIL = "admin@bodega.test";
const ADMIN_PASSWORD = "bench-admin-password-1";
const START_MS_MAX = 60_000;
const STOP_MS_MAX = 30_000;
const LOOK_MS = 20;
/** Half a second. */
const CALM_LOOKS_OF_BROKERS = 25;

export async function startStack(env: Record<string, string> = {}, bunArgs: string[] = []): Promise<Stack> {
  const folder = mkdtempSync(join(tmpdir(), "bodega-bench-"));
  const child = Bun.spawn([process.execPath, ...bunArgs, "scripts/dev.ts"], {
    cwd: ROOT,
    env: {
      PATH: process.env["PATH"],
      HOME: process.env["HOME"],
      DATA_DIR: folder,
      ...{ PORT: "0", GRPC_PORT: "0", OPS_PORT: "0", MAIL_PORT: "0", SMTP_PORT: "0" },
      ...{ RATE_LIMITS: "off", DEMO: "off", KITCHEN_STAFF: "off", ADMIN_EMAIL, ADMIN_PASSWORD },
      ...env,
    },
    stdin: "ignore",
    stdout: Bun.file(join(folder, "server.log")),
    stderr: "pipe",
  });
  let said = "";
  const reading = child.stderr.pipeTo(
    new WritableStream({
      write(chunk) {
        said += Buffer.from(chunk).toString();
      },
    }),
  );
  const databases = new Map<string, Database>();
  async function close() {
    await Promise.all([...databases.values()].map((database) => database.close()));
    child.kill("SIGINT");
    const late = setTimeout(() => child.kill("SIGKILL"), STOP_MS_MAX);
    await child.exited;
    clearTimeout(late);
    await reading;
    rmSync(folder, { recursive: true, force: true });
  }
  try {
    for (let waited = 0; !said.includes("Bodega is open"); waited += LOOK_MS) {
      if (child.exitCode !== null || waited > START_MS_MAX) throw new Error(`the platform did not start: ${said}`);
      await Bun.sleep(LOOK_MS);
    }
    const server = serverOf(folder);
    const databaseUrl = (name: string) => `postgres://postgres:${server.password}@127.0.0.1:${server.port}/${name}`;
    return {
      edge: addressIn(said, "Edge"),
      mailCatcher: addressIn(said, "Mail catcher"),
      adminEmail: ADMIN_EMAIL,
      adminPassword: ADMIN_PASSWORD,
      folder,
      brokers: env["KAFKA_BROKERS"] !== undefined,
      serverPid: child.pid,
      postgresPid: server.pid,
      databaseUrl,
      database(service) {
        const found = databases.get(service) ?? openDatabase(databaseUrl(`bodega_${service}`), "bench");
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

/** The private PostgreSQL of a data folder: its first line of postmaster.pid is the process, its fourth the port. */
function serverOf(folder: string) {
  const lines = readFileSync(join(folder, "postgres", "postmaster.pid"), "utf8").split("\n");
  const password = readFileSync(join(folder, "postgres", "superuser-password"), "utf8").trim();
  return { pid: Number(lines[0]), port: Number(lines[3]), password };
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
