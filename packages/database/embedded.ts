// The database of the laptop and of the tests: a private PostgreSQL 18, made, started, watched and stopped from here.
//
// It runs in a session of its own, so neither Ctrl-C nor the death of this process takes it down half-way; the next
// start finds it by its postmaster.pid and adopts it. Everything lies in the data folder:
//   owner.lock, owner.pid   who uses the folder now
//   postgres/               the cluster
//   superuser-password      its superuser's
//   postgres.log            what PostgreSQL says about itself
import { Database } from "bun:sqlite";
import { mkdirSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Cluster, describeCluster, initialise, isInitialised, openCluster, textOf } from "./embedded-cluster.ts";
import { boot, type Running, stop } from "./embedded-server.ts";
import { codeOf, explain, messageOf, StartError } from "./start-error.ts";

const OWNER_WAIT_MS = 3_000; // a predecessor that is just stopping gets this long
const RESTART_PAUSE_MAX_MS = 5_000;
const POLL_MS = 50;

export interface EmbeddedServer {
  /** Superuser, database `postgres`; carries the password. Does not change while this process owns the server. */
  url: string;
  port: number;
  /** True when a server left running by an earlier process was taken over. */
  adopted: boolean;
  /** Fast shutdown; resolves when nothing of it runs any more and the data folder is free for others. */
  close(): Promise<void>;
}

// A lock whose holder is garbage-collected is a lock lost.
const locksHeld = new Set<Database>();

/**
 * Promises that an acknowledged commit survives the death of this process and of PostgreSQL (with `durable`, also of
 * the machine), and that PostgreSQL is started again on the same port when it dies. Does not promise to repair a damaged
 * folder: it says so and changes nothing. Throws StartError.
 */
export async function startEmbeddedPostgres(options: {
  dataDir: string;
  /** Default true. False switches fsync off: for tests only. */
  durable?: boolean;
  log: (line: string) => void;
}): Promise<EmbeddedServer> {
  const folder = resolve(options.dataDir);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const release = await takeOwnership(realpathSync(folder));
    try {
      return await start(describeCluster(realpathSync(folder), options.durable ?? true), options.log, release);
    } catch (error) {
      release();
      throw error;
    }
  } catch (error) {
    throw explain(error, folder);
  }
}

/**
 * An exclusive SQLite transaction, for the sake of its file lock: the kernel frees it with its process, however that
 * ends, so there is no stale lock to judge, which no file with a pid in it can promise.
 */
async function takeOwnership(folder: string): Promise<() => void> {
  const lock = new Database(join(folder, "owner.lock"), { create: true });
  for (let waited = 0; !tryLock(lock); waited += POLL_MS) {
    if (waited >= OWNER_WAIT_MS) {
      lock.close();
      const pid = textOf(join(folder, "owner.pid"), "unknown").trim();
      throw new StartError(
        `Bodega already runs on ${folder}, as process ${pid}: stop that one (kill ${pid}), or give this one a data folder and ports of its own (DATA_DIR, PORT, GRPC_PORT, OPS_PORT, MAIL_PORT, SMTP_PORT).`,
      );
    }
    await sleep(POLL_MS);
  }
  locksHeld.add(lock);
  const release = () => {
    if (!locksHeld.delete(lock)) return;
    rmSync(join(folder, "owner.pid"), { force: true });
    lock.close();
  };
  try {
    writeFileSync(join(folder, "owner.pid"), `${process.pid}\n`);
    return release;
  } catch (error) {
    release();
    throw error;
  }
}

function tryLock(lock: Database): boolean {
  try {
    lock.run("begin exclusive");
    return true;
  } catch (error) {
    if (codeOf(error) === "SQLITE_BUSY") return false;
    lock.close();
    throw error;
  }
}

async function start(cluster: Cluster, log: (line: string) => void, release: () => void): Promise<EmbeddedServer> {
  if (!isInitialised(cluster)) {
    log(`Making a new PostgreSQL database in ${cluster.directory}`);
    await initialise(cluster);
  }
  const password = openCluster(cluster);
  const running = await boot(cluster, undefined, log);
  log(`PostgreSQL ${running.adopted ? "was still running and is taken over" : "is ready"} on port ${running.port}`);
  const end = supervise(cluster, running, log);
  let closed: Promise<void> | undefined;
  return {
    url: `postgres://postgres:${password}@127.0.0.1:${running.port}/postgres`,
    port: running.port,
    adopted: running.adopted,
    close() {
      closed ??= end().finally(release);
      return closed;
    },
  };
}

/** Starts the server again whenever it ends, until the returned function is called. */
function supervise(cluster: Cluster, first: Running, log: (line: string) => void): () => Promise<void> {
  let running = first;
  let closing = false;
  const watch = (async () => {
    for (;;) {
      await running.exited;
      if (closing) return;
      log(`PostgreSQL, process ${running.pid}, ended unexpectedly: starting it again on port ${running.port}`);
      running = (await restart(cluster, running.port, log, () => closing)) ?? running;
      if (closing) return;
    }
  })();
  return async () => {
    closing = true;
    if (running.alive) await stop(running);
    await watch; // it may have been in the middle of a restart
    if (running.alive) await stop(running);
  };
}

/** Tries until it works: a full disk may be emptied. Never makes a new database in place of one that is gone. */
async function restart(
  cluster: Cluster,
  port: number,
  log: (line: string) => void,
  isClosing: () => boolean,
): Promise<Running | undefined> {
  let lastTrouble = "";
  for (let pauseMs = POLL_MS; !isClosing(); pauseMs = Math.min(pauseMs * 2, RESTART_PAUSE_MAX_MS)) {
    try {
      openCluster(cluster);
      const running = await boot(cluster, port, log);
      log(`PostgreSQL is ready again on port ${port}`);
      return running;
    } catch (error) {
      const trouble = messageOf(explain(error, cluster.folder));
      if (trouble !== lastTrouble) log(trouble);
      lastTrouble = trouble;
    }
    for (let waited = 0; waited < pauseMs && !isClosing(); waited += POLL_MS) await sleep(POLL_MS);
  }
  return undefined;
}
