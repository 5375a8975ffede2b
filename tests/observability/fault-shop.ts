// A shop whose surroundings can be broken: two processes of it, on a PostgreSQL, a Redis, a mail server, a disk and a certificate that are the test's.
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Database, openDatabase } from "../../packages/database/database.ts";
import { startEmbeddedPostgres } from "../../packages/database/embedded.ts";
import { must } from "../../scripts/command.ts";
import { freePorts } from "../../scripts/copy/ports.ts";
import { type Copy, startCopy } from "../../scripts/copy/start.ts";
import { afterThisProcess } from "../kit/after-this-process.ts";
import { createAuthority } from "../kit/certificates.ts";
import { startTcpProxy } from "../kit/tcp-proxy.ts";

const ADMIN_EMAIL = "admin@bodega.test";
const ADMIN_PASSWORD = "faults-admin-password-1";
const WRONG_CLOCK = join(import.meta.dir, "../apart/wrong-clock.ts");
const DISK_BYTES = 1_300 * 1024 ** 2;
const DAYS_GOOD = 90;

export type FaultShop = Awaited<ReturnType<typeof startFaultShop>>;

/** `scale` is how much faster than real time its orders live; `more` are variables of all its processes. */
export async function startFaultShop(scale: number, redisUrl: string | undefined, more: Record<string, string> = {}) {
  const folder = mkdtempSync(join(tmpdir(), "bodega-faults-"));
  // Whoever stops this test leaves a server and a disk behind, of which nobody else knows.
  afterThisProcess('kill -QUIT "$(head -n 1 "$0/server/postgres/postmaster.pid")"; umount -l "$0/first"; rm -rf "$0"', [
    folder,
  ]);
  const ends: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
  const close = async () => {
    for (const end of ends.splice(0).toReversed()) await end();
  };
  try {
    const [own, others, tls] = [await freePorts(), await freePorts(), await freePorts(["TLS"])];
    const postgres = await startEmbeddedPostgres({ dataDir: join(folder, "server"), durable: false, log: () => {} });
    ends.push(postgres.close);
    const root = openDatabase(postgres.url, "faults");
    ends.push(root.close);
    await root.sql.unsafe("create database bodega_broker");
    const target = { hostname: "127.0.0.1", port: postgres.port };
    const ways = {
      database: await startTcpProxy(target),
      broker: await startTcpProxy(target),
      mail: await startTcpProxy({ hostname: "127.0.0.1", port: Number(own["SMTP_PORT"]) }),
    };
    for (const way of Object.values(ways)) ends.push(way.end);
    const certificate = showCertificate(Number(tls["TLS"]));
    ends.push(certificate.close);
    const clockFile = join(folder, "clock");
    writeFileSync(clockFile, "0");
    const through = (port: number, name: string) => {
      const url = new URL(postgres.url);
      url.port = String(port);
      url.pathname = name;
      return url.href;
    };
    const env = {
      DATABASE_URL: through(ways.database.port, "postgres"),
      BROKER_DATABASE_URL: through(ways.broker.port, "bodega_broker"),
      SMTP_URL: `smtp://127.0.0.1:${ways.mail.port}`,
      CERTIFICATE_AT: `127.0.0.1:${tls["TLS"]}`,
      CLUSTER_SECRET: "what both processes of this shop know of each other",
      EVENTLOG_SECRET: "a secret that signs the journal of this shop",
      ...(redisUrl && { REDIS_URL: redisUrl }),
      ...{ ADMIN_EMAIL, ADMIN_PASSWORD, RATE_LIMITS: "off", DEMO: "off", KITCHEN_STAFF: "off" },
      TIME_SCALE: String(scale),
      ...more,
    };
    const disk = openDisk(join(folder, "first"));
    ends.push(disk.close);
    const start = async (name: string, own: Record<string, string>): Promise<Copy> => {
      const copy = startCopy({
        env: { ...env, DATA_DIR: join(folder, name), ...own },
        logFile: join(folder, `${name}.log`),
        bunArgs: ["--preload", WRONG_CLOCK],
      });
      ends.push(copy.end);
      await copy.open();
      return copy;
    };
    const first = await start("first", { ...own, CANARY_EVERY: "1s", CLOCK_FILE: clockFile });
    const anchor = join(folder, "first", "clock.json");
    // Written by services/start.ts, in this shape, where its time is another than real time.
    const { real, business } = (
      existsSync(anchor) ? JSON.parse(readFileSync(anchor, "utf8")) : { real: 0, business: 0 }
    ) as {
      real: number;
      business: number;
    };
    const databases = new Map<string, Database>();
    ends.push(() => Promise.all([...databases.values()].map((database) => database.close())));
    return {
      edge: `http://127.0.0.1:${own["PORT"]}`,
      mailCatcher: `http://127.0.0.1:${own["MAIL_PORT"]}`,
      smtpPort: own["SMTP_PORT"] ?? "",
      opsPort: own["OPS_PORT"] ?? "",
      adminEmail: ADMIN_EMAIL,
      adminPassword: ADMIN_PASSWORD,
      first,
      /** A second process of it, with a mail server of its own. */
      async startOther() {
        mkdirSync(join(folder, "second"));
        if (existsSync(anchor)) copyFileSync(anchor, join(folder, "second", "clock.json"));
        const copy = await start("second", { ...others, SMTP_URL: `smtp://127.0.0.1:${others["SMTP_PORT"]}` });
        return { opsPort: others["OPS_PORT"] ?? "", end: copy.end };
      },
      ...{ ways, certificate, disk, folder },
      /** So far ahead is the clock of the first process's machine. */
      setClock: (ms: number) => writeFileSync(clockFile, String(ms)),
      /** Business time, so many real milliseconds from now. */
      soon: (ms: number) => new Date(business + (Date.now() + ms - real) * scale),
      /** Straight to the server, not by the way that is broken. */
      root,
      databaseUrl: postgres.url,
      urlOf: (service: string) => through(postgres.port, `bodega_${service}`),
      database(service: string) {
        const found = databases.get(service) ?? openDatabase(through(postgres.port, `bodega_${service}`), "faults");
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

/** Stops it for a moment again and again, as a machine does that has too much else to do; gives back the end of that. */
export function stutter({ pid }: Copy, stoppedMs: number, goingMs: number): () => Promise<void> {
  let over = false;
  async function run() {
    while (!over) {
      process.kill(pid, "SIGSTOP");
      await Bun.sleep(stoppedMs);
      process.kill(pid, "SIGCONT");
      await Bun.sleep(goingMs);
    }
  }
  const running = run();
  return async () => {
    over = true;
    await running;
  };
}

/** Where TLS ends before the shop: shows a certificate that is good for so many days. */
function showCertificate(port: number) {
  const authority = createAuthority();
  const serve = (days: number) => {
    const { cert, key } = authority.certifyFor(days, "IP:127.0.0.1");
    return Bun.serve({ port, hostname: "127.0.0.1", tls: { cert, key }, fetch: () => new Response() });
  };
  let server = serve(DAYS_GOOD);
  return {
    async show(days = DAYS_GOOD) {
      await server.stop(true);
      server = serve(days);
    },
    async close() {
      await server.stop(true);
      authority.close();
    },
  };
}

/** A disk of its own under a folder, where this user may mount one. */
function openDisk(folder: string) {
  mkdirSync(folder);
  const size = `size=${DISK_BYTES}`;
  const mounted = process.getuid?.() === 0 && run("mount", "-t", "tmpfs", "-o", size, "tmpfs", folder);
  const filler = join(folder, "filler");
  return {
    mounted,
    // By another process: ways to the shop's servers lead through this one.
    fill: () => must(["fallocate", "-l", String(DISK_BYTES / 2), filler]),
    empty: () => rmSync(filler, { force: true }),
    close() {
      if (mounted && !run("umount", folder)) throw new Error(`${folder} could not be unmounted`);
    },
  };
}

function run(...argv: string[]): boolean {
  return Bun.spawnSync(argv, { stderr: "ignore" }).success;
}
