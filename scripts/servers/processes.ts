// Processes of ours that outlive us. A pid alone proves nothing, it may belong to a stranger by now: whatever is signalled
// must also have started when ours did.
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Command, Identity } from "./server.ts";

const END_PATIENCE_MS = 10_000;
const KILL_PATIENCE_MS = 10_000;
const POLL_MS = 20;

/** Starts it in a session of its own, so that Ctrl-C here does not reach it. What it says is added to the log. */
export function launch({ argv, env = {} }: Command, folder: string, log: string): Identity {
  const output = openSync(log, "a", 0o600);
  try {
    const child = Bun.spawn(argv, {
      cwd: folder,
      env: { PATH: process.env["PATH"] ?? "", HOME: folder, LANG: "C.UTF-8", ...env },
      stdin: "ignore",
      stdout: output,
      stderr: output,
      detached: true,
    });
    child.unref();
    return { pid: child.pid, started: startOf(child.pid) ?? "ended at once" };
  } finally {
    closeSync(output);
  }
}

/** Undefined when there is no such process, or only a zombie without threads. */
export function startOf(pid: number): string | undefined {
  return lookAt(pid)?.started;
}

export function isAlive({ pid, started }: Identity): boolean {
  return startOf(pid) === started;
}

export function isPaused({ pid, started }: Identity): boolean {
  const seen = lookAt(pid);
  return seen?.started === started && seen.state.startsWith("T");
}

/** False, and nothing sent, when the process is gone or the pid is another's now. */
export function send(identity: Identity, signal: NodeJS.Signals): boolean {
  if (identity.pid <= 1 || !isAlive(identity)) return false;
  try {
    process.kill(identity.pid, signal);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ESRCH") return false; // ended between look and signal
    throw error;
  }
}

/** In good order if it can within ten seconds, else by force. Returns true when force was needed. */
export async function end(identity: Identity, signal: NodeJS.Signals = "SIGTERM"): Promise<boolean> {
  send(identity, signal);
  send(identity, "SIGCONT"); // a paused one hears nothing else
  if (await isGone(identity, END_PATIENCE_MS)) return false;
  await kill(identity);
  return true;
}

export async function kill(identity: Identity): Promise<void> {
  send(identity, "SIGKILL");
  if (!(await isGone(identity, KILL_PATIENCE_MS)))
    throw new Error(`process ${identity.pid} is still there after SIGKILL`);
}

/** Memory it holds, in MB. */
export function memoryOf({ pid }: Identity): number {
  const listed = Bun.spawnSync(["ps", "-o", "rss=", "-p", String(pid)]).stdout.toString();
  return Math.round(Number(listed) / 1024);
}

async function isGone(identity: Identity, patienceMs: number): Promise<boolean> {
  for (let waited = 0; waited < patienceMs; waited += POLL_MS) {
    if (!isAlive(identity)) return true;
    await sleep(POLL_MS);
  }
  return !isAlive(identity);
}

function lookAt(pid: number): { started: string; state: string } | undefined {
  const seen = process.platform === "linux" ? lookInProc(pid) : lookWithPs(pid);
  return seen && /^[ZX]/.test(seen.state) ? undefined : seen;
}

function lookInProc(pid: number): { started: string; state: string } | undefined {
  const stat = textOf(`/proc/${pid}/stat`);
  if (!stat) return undefined;
  // The name in the second field may hold anything; what follows its last parenthesis begins with the third field.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const boot = textOf("/proc/sys/kernel/random/boot_id")?.trim();
  // Of many threads the first may be a zombie while the others still hold the ports.
  const state = Number(fields[17]) > 1 ? (fields[0] ?? "").replace("Z", "R") : (fields[0] ?? "");
  return { state, started: `${boot} ${fields[19]}` };
}

function lookWithPs(pid: number): { started: string; state: string } | undefined {
  const listed = Bun.spawnSync(["ps", "-o", "stat=,lstart=", "-p", String(pid)])
    .stdout.toString()
    .trim();
  const [state = "", ...started] = listed.split(/\s+/);
  return state ? { state, started: started.join(" ") } : undefined;
}

function textOf(path: string): string | undefined {
  try {
    return existsSync(path) ? readFileSync(path, "utf8") : undefined;
  } catch (error) {
    if (error instanceof Error && "code" in error && (error.code === "ESRCH" || error.code === "ENOENT"))
      return undefined;
    throw error; // it did not end while being read
  }
}
