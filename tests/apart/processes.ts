// Bodega with every service in a process of its own, as a cluster runs it.
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SERVICE_NAMES } from "../../services/all.ts";
import { TIME_SCALE } from "../chaos/load.ts";
import { freePorts } from "../chaos/program.ts";
import { ADMIN } from "../chaos/shop.ts";

const ROOT = join(import.meta.dir, "../..");
const OPEN_MS_MAX = 60_000;
const END_MS_MAX = 20_000;

export interface Processes {
  /** The edge. */
  url: string;
  mailUrl: string;
  /** Of the catcher, in the process of mail. */
  smtpPort: number;
  /** Their names; beside them there is one more process, "gateway". */
  services: string[];
  /** What every process is given that is started from now on. */
  env: Record<string, string>;
  /** Starts one that does not run; `open` tells when it serves. */
  start(name: string): void;
  /** Resolves when it serves: /readyz of a service, /healthz of the gateway. */
  open(name: string): Promise<void>;
  /** Starts them all; resolves when they serve. */
  startAll(): Promise<void>;
  /** SIGTERM or SIGKILL; resolves with its exit code when it has ended. */
  end(name: string, signal: "SIGTERM" | "SIGKILL"): Promise<number | null>;
  /** Its JSON lines so far. */
  log(name: string): string;
  close(): Promise<void>;
}

/** `env` says what they stand on: at least DATABASE_URL, and TIME_SCALE_SINCE. Nothing is started yet. */
export async function createProcesses(env: Record<string, string>): Promise<Processes> {
  const folder = mkdtempSync(join(tmpdir(), "bodega-apart-"));
  const names = [...SERVICE_NAMES, "gateway"];
  const ports = new Map(await Promise.all(names.map(async (name) => [name, await freePorts()] as const)));
  const portsOf = (name: string) => ports.get(name) ?? {};
  const urlOf = (name: string) => `http://127.0.0.1:${portsOf(name)["PORT"]}`;
  const shared: Record<string, string> = {
    CLUSTER_SECRET: "a secret that all processes of this test share",
    ADMIN_PASSWORD: ADMIN.password,
    RATE_LIMITS: "off",
    TIME_SCALE: String(TIME_SCALE),
    PUBLIC_URL: urlOf("gateway"),
    ...Object.fromEntries(SERVICE_NAMES.map((name) => [`${name.toUpperCase()}_URL`, urlOf(name)])),
    ...env,
  };
  const running = new Map<string, Bun.Subprocess>();
  const logOf = (name: string) => join(folder, `${name}.log`);

  function start(name: string) {
    if (running.has(name)) throw new Error(`${name} runs already`);
    const output = openSync(logOf(name), "a");
    const child = Bun.spawn([process.execPath, "services/main.ts", name], {
      cwd: ROOT,
      env: { PATH: process.env["PATH"] ?? "", HOME: process.env["HOME"] ?? "", ...shared, ...portsOf(name) },
      stdin: "ignore",
      stdout: output,
      stderr: output,
    });
    closeSync(output);
    running.set(name, child);
  }

  async function end(name: string, signal: "SIGTERM" | "SIGKILL") {
    const child = running.get(name);
    if (!child) throw new Error(`${name} does not run`);
    child.kill(signal);
    const code = await Promise.race([child.exited, Bun.sleep(END_MS_MAX).then(() => "late" as const)]);
    if (code === "late") throw new Error(`${name} did not end within ${END_MS_MAX} ms of ${signal}`);
    running.delete(name);
    return child.signalCode === null ? code : null;
  }

  async function open(name: string) {
    const page = `${urlOf(name)}/${name === "gateway" ? "healthz" : "readyz"}`;
    for (const patience = AbortSignal.timeout(OPEN_MS_MAX); ; await Bun.sleep(50)) {
      if ((await statusOf(page)) === 200) return;
      const code = running.get(name)?.exitCode;
      if (typeof code === "number") throw new Error(`${name} ended with ${code}:\n${tail(logOf(name))}`);
      if (patience.aborted) throw new Error(`${name} was not open after ${OPEN_MS_MAX} ms:\n${tail(logOf(name))}`);
    }
  }

  return {
    url: urlOf("gateway"),
    mailUrl: `http://127.0.0.1:${portsOf("mail")["MAIL_PORT"]}`,
    smtpPort: Number(portsOf("mail")["SMTP_PORT"]),
    services: SERVICE_NAMES,
    env: shared,
    start,
    end,
    open,
    async startAll() {
      for (const name of names) start(name);
      await Promise.all(names.map(open));
    },
    log: (name) => readFileSync(logOf(name), "utf8"),
    async close() {
      await Promise.all([...running.keys()].map((name) => end(name, "SIGKILL")));
      if (!process.env["CHAOS_KEEP"]) rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Undefined when nobody answers. */
async function statusOf(url: string): Promise<number | undefined> {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(2_000) })).status;
  } catch (error) {
    if (error instanceof DOMException || (error instanceof Error && "code" in error)) return undefined;
    throw error;
  }
}

function tail(path: string): string {
  return readFileSync(path, "utf8").split("\n").slice(-12).join("\n");
}
