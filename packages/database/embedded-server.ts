// The process of the private PostgreSQL: found or started, awaited, stopped. One owner per cluster is presupposed.
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { createServer } from "node:net";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Cluster, ENVIRONMENT, startFailure, textOf } from "./embedded-cluster.ts";
import { codeOf } from "./start-error.ts";

const START_ATTEMPTS_MAX = 5;
const RECOVERY_MAX_MS = 600_000; // replaying the log after a crash may take minutes
const FAST_STOP_MAX_MS = 10_000;
const IMMEDIATE_STOP_MAX_MS = 5_000;
const POLL_MS = 5;
const WATCH_MS = process.platform === "linux" ? 100 : 1_000; // elsewhere each look costs a process
const LOG_BYTES_MAX = 10_000_000;
// Below the range from which systems serve outgoing connections, so that a restart finds its port still free.
const PORT_FIRST = 20_000;
const PORTS = 12_000;

export interface Running {
  pid: number;
  port: number;
  /** True when an earlier process had started it. */
  adopted: boolean;
  alive: boolean;
  exited: Promise<void>;
}

/** Adopts what runs on the cluster already, or starts it; resolves when it takes connections. */
export async function boot(cluster: Cluster, port: number | undefined, log: (line: string) => void): Promise<Running> {
  let said = "";
  for (let attempt = 0; attempt < START_ATTEMPTS_MAX; attempt++) {
    const found = findRunning(cluster);
    if (found && !hasOurSettings(cluster)) {
      log("PostgreSQL runs with other settings than these: restarting it");
      await stop(found);
      continue;
    }
    if (!found) await clearRemains(cluster);
    const sayingFrom = startLog(cluster);
    const running = found ?? launch(cluster, port ?? (await choosePort(cluster)));
    if (await becomesReady(cluster, running, log)) return running;
    said = readFileSync(cluster.log).subarray(sayingFrom).toString();
    // Worth another try: somebody took the port meanwhile, or the one found was just stopping.
    if (!found && !/in use/.test(said) && !findRunning(cluster)) break;
    await sleep(200);
  }
  throw startFailure(cluster, "PostgreSQL did not start", said);
}

/** Fast shutdown: sessions are cut, everything committed is written. Escalates only when that hangs. */
export async function stop(running: Running): Promise<void> {
  const steps = [
    ["SIGINT", FAST_STOP_MAX_MS],
    ["SIGQUIT", IMMEDIATE_STOP_MAX_MS],
    ["SIGKILL", IMMEDIATE_STOP_MAX_MS],
  ] as const;
  for (const [signal, patienceMs] of steps) {
    send(running.pid, signal);
    for (let waited = 0; running.alive && waited < patienceMs; waited += POLL_MS) await sleep(POLL_MS);
    if (!running.alive) return;
  }
  throw new Error(`PostgreSQL, process ${running.pid}, must end on SIGKILL but is still there`);
}

function findRunning({ directory }: Cluster): Running | undefined {
  const file = readPidFile(directory);
  if (!file || !isServer(file.pid, directory)) return undefined;
  const running = { pid: file.pid, port: file.port, adopted: true, alive: true, exited: Promise.resolve() };
  running.exited = (async () => {
    while (isServer(running.pid, directory)) await sleep(WATCH_MS, undefined, { ref: false });
    running.alive = false;
  })();
  return running;
}

function readPidFile(directory: string): { pid: number; port: number; status: string } | undefined {
  const lines = textOf(join(directory, "postmaster.pid"), "").split("\n");
  const pid = Number(lines[0]);
  if (!Number.isSafeInteger(pid) || pid <= 1) return undefined;
  return { pid, port: Number(lines[3]), status: (lines[7] ?? "").trim() };
}

/** The number alone proves nothing: after a crash it may belong to a stranger. */
function isServer(pid: number, directory: string): boolean {
  if (process.platform !== "linux") {
    const listed = Bun.spawnSync(["ps", "-o", "stat=,command=", "-p", String(pid)]).stdout.toString();
    return !listed.startsWith("Z") && listed.includes(`postgres -D ${directory} `);
  }
  try {
    return (
      readlinkSync(`/proc/${pid}/cwd`) === directory && /^postgres\b/.test(basename(readlinkSync(`/proc/${pid}/exe`)))
    );
  } catch {
    return false; // gone, a zombie, or another user's
  }
}

function hasOurSettings({ directory, settings }: Cluster): boolean {
  const started = textOf(join(directory, "postmaster.opts"), "");
  return settings.every((setting) => started.includes(`"${setting}"`));
}

/**
 * After a kill -9 of the server its workers may go on for a while and hold the shared memory. Nothing they do can be
 * committed any more, and the write-ahead log has all that was. A pid file that is still there is stale.
 */
async function clearRemains({ directory }: Cluster): Promise<void> {
  if (process.platform === "linux") {
    const numbers = readdirSync("/proc").map(Number);
    const workers = numbers.filter((pid) => pid > 1 && isServer(pid, directory));
    for (const pid of workers) send(pid, "SIGKILL");
    while (workers.some((pid) => isServer(pid, directory))) await sleep(POLL_MS);
  }
  rmSync(join(directory, "postmaster.pid"), { force: true });
}

/** The port of last time when it is free, else one that differs from process to process. */
async function choosePort({ directory }: Cluster): Promise<number> {
  const last = Number(/"-p" "(\d+)"/.exec(textOf(join(directory, "postmaster.opts"), ""))?.[1]);
  if (last && (await isFree(last))) return last;
  for (let offset = process.pid * 31; ; offset++) {
    const port = PORT_FIRST + (offset % PORTS);
    if (await isFree(port)) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const probe = createServer();
  return new Promise((resolve) => {
    probe.once("error", () => resolve(false));
    probe.listen({ port, host: "127.0.0.1", exclusive: true }, () => probe.close(() => resolve(true)));
  });
}

/** Returns where in the log the words of the next start will begin. */
function startLog({ log }: Cluster): number {
  if (existsSync(log) && statSync(log).size > LOG_BYTES_MAX) renameSync(log, `${log}.old`);
  closeSync(openSync(log, "a", 0o600));
  return statSync(log).size;
}

function launch({ directory, log, prefix, programs, settings }: Cluster, port: number): Running {
  const options = ["-D", directory, "-p", String(port), ...settings.flatMap((setting) => ["-c", setting])];
  const output = openSync(log, "a");
  try {
    const child = Bun.spawn([...prefix, join(programs, "postgres"), ...options], {
      env: ENVIRONMENT,
      stdin: "ignore",
      stdout: output,
      stderr: output,
      detached: true,
    });
    child.unref();
    const running = { pid: child.pid, port, adopted: false, alive: true, exited: Promise.resolve() };
    running.exited = child.exited.then(() => {
      running.alive = false;
    });
    return running;
  } finally {
    closeSync(output);
  }
}

async function becomesReady({ directory }: Cluster, running: Running, log: (line: string) => void): Promise<boolean> {
  for (let waited = 0; running.alive && waited < RECOVERY_MAX_MS; waited += POLL_MS) {
    const file = readPidFile(directory);
    if (file?.pid === running.pid && file.status === "ready") {
      running.port = file.port;
      return true;
    }
    if (waited > 0 && waited % 5_000 === 0) log("PostgreSQL is still replaying its log after a crash");
    await sleep(POLL_MS);
  }
  if (running.alive) await stop(running);
  return false;
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (codeOf(error) !== "ESRCH") throw error; // it ended by itself
  }
}
