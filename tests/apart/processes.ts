// Bodega with every service in a process of its own, as a cluster runs it.
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { InnerTls } from "../../packages/service/tls.ts";
import { over } from "../../packages/service/wire/remote.ts";
import { freePorts } from "../../scripts/copy/ports.ts";
import { BROKER, SERVICE_NAMES } from "../../services/all.ts";
import { keysFrom, keyVariable, publicKeys } from "../../services/keys.ts";
import { TIME_SCALE } from "../chaos/load.ts";
import { ADMIN } from "../chaos/shop.ts";
import { provision } from "../kit/provision.ts";
import { startTcpProxy, type TcpProxy } from "../kit/tcp-proxy.ts";

const ROOT = join(import.meta.dir, "../..");
const OPEN_MS_MAX = 120_000;
const END_MS_MAX = 60_000;

export interface Processes {
  /** The edge. */
  url: string;
  mailUrl: string;
  /** The operator's page of a process, /health, as it is now. */
  health(name: string): Promise<string>;
  /** Of the catcher, in the process of mail. */
  smtpPort: number;
  /** Names of processes, the edge left out: "order", or with replicas "order-1" and "order-2". */
  services: string[];
  /** Those of the edge. */
  gateways: string[];
  /** Ways to services and to the edge that have replicas, by their names: what stands before them in a cluster. */
  fronts: Record<string, TcpProxy>;
  /** What every process is given that is started from now on. */
  env: Record<string, string>;
  /** Starts one that does not run; `open` tells when it serves. */
  start(name: string): void;
  /** Resolves when it serves: /readyz of a service, /healthz of the gateway, or as `path` says. */
  open(name: string, path?: string): Promise<void>;
  /** Starts them all; resolves when they serve. */
  startAll(): Promise<void>;
  /** SIGTERM or SIGKILL; resolves with its exit code when it has ended. */
  end(name: string, signal: "SIGTERM" | "SIGKILL"): Promise<number | null>;
  /** SIGSTOP: alive, its connections open, and silent. */
  freeze(name: string): void;
  thaw(name: string): void;
  /** Puts the clock of its machine ahead by so many milliseconds, or back; at once, whether it runs or not. */
  setClock(name: string, msAhead: number): void;
  /** Its JSON lines so far. */
  log(name: string): string;
  close(): Promise<void>;
}

export interface ProcessesOptions {
  /** Of every service and of the edge. */
  replicas?: number;
  /** The code of the second replicas: another version of it. */
  second?: string;
  /** Where they talk over TLS, without replicas: what a process is given when it starts, and what whoever asks it shows. */
  tls?: { of(name: string): Record<string, string>; shown: InnerTls };
}

const CLUSTER_SECRET = "what only the command that makes the databases knows";

/** `env` says what they stand on: at least DATABASE_URL, and TIME_SCALE_SINCE. Nothing is started yet. */
export async function createProcesses(
  env: Record<string, string>,
  { replicas = 1, second = ROOT, tls }: ProcessesOptions = {},
): Promise<Processes> {
  const folder = mkdtempSync(join(tmpdir(), "bodega-apart-"));
  const replicasOf = (service: string) =>
    replicas === 1 ? [service] : Array.from({ length: replicas }, (_, index) => `${service}-${index + 1}`);
  const all = [...SERVICE_NAMES, "gateway"];
  const names = all.flatMap(replicasOf);
  const ports = new Map(await Promise.all(names.map(async (name) => [name, await freePorts()] as const)));
  const portsOf = (name: string) => ports.get(name) ?? {};
  const fronts = replicas === 1 ? {} : await openFronts(all, (service) => replicasOf(service).map(portsOf));
  /** The edge is asked by browsers, in the clear here; certificates are for names. */
  const at = (name: string) => (tls && serviceOf(name) !== "gateway" ? "https://localhost" : "http://127.0.0.1");
  const urlOf = (name: string) => `${at(name)}:${fronts[name]?.port ?? portsOf(name)["PORT"]}`;
  const [mail = ""] = replicasOf("mail");
  const shared: Record<string, string> = {
    PUBLIC_KEYS: JSON.stringify(await publicKeys(CLUSTER_SECRET)),
    ADMIN_PASSWORD: ADMIN.password,
    EVENTLOG_SECRET: "a secret that signs the journal of this test",
    RATE_LIMITS: "off",
    TIME_SCALE: String(TIME_SCALE),
    PUBLIC_URL: urlOf("gateway"),
    ...Object.fromEntries(SERVICE_NAMES.map((name) => [`${name.toUpperCase()}_URL`, urlOf(name)])),
    ...env,
  };
  await provision({ ...shared, CLUSTER_SECRET });
  const keys = keysFrom(CLUSTER_SECRET);
  const keysOf = (name: string) =>
    Object.fromEntries([serviceOf(name), BROKER].map((each) => [keyVariable(each), keys.get(keyVariable(each)) ?? ""]));
  const running = new Map<string, Bun.Subprocess>();
  const logOf = (name: string) => join(folder, `${name}.log`);
  const clockFileOf = (name: string) => join(folder, `${name}.clock`);
  const setClock = (name: string, msAhead: number) => writeFileSync(clockFileOf(name), String(msAhead));
  for (const name of names) setClock(name, 0);

  function start(name: string) {
    if (running.has(name)) throw new Error(`${name} runs already`);
    const output = openSync(logOf(name), "a");
    const child = Bun.spawn(
      [process.execPath, "--preload", join(import.meta.dir, "wrong-clock.ts"), "services/main.ts", serviceOf(name)],
      {
        cwd: name.endsWith("-2") ? second : ROOT,
        env: {
          CLOCK_FILE: clockFileOf(name),
          PATH: process.env["PATH"] ?? "",
          HOME: process.env["HOME"] ?? "",
          ...shared,
          ...keysOf(name),
          ...portsOf(name),
          ...(tls && { INNER_TLS: "on", ...tls.of(name) }),
        },
        stdin: "ignore",
        stdout: output,
        stderr: output,
      },
    );
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

  function signal(name: string, what: "SIGSTOP" | "SIGCONT") {
    const child = running.get(name);
    if (!child) throw new Error(`${name} does not run`);
    child.kill(what);
  }

  async function open(name: string, path = serviceOf(name) === "gateway" ? "healthz" : "readyz") {
    const page = `${at(name)}:${portsOf(name)["PORT"]}/${path}`;
    for (const patience = AbortSignal.timeout(OPEN_MS_MAX); ; await Bun.sleep(50)) {
      if ((await statusOf(page, tls?.shown)) === 200) return;
      const code = running.get(name)?.exitCode;
      if (typeof code === "number") throw new Error(`${name} ended with ${code}:\n${tail(logOf(name))}`);
      if (patience.aborted) throw new Error(`${name} was not open after ${OPEN_MS_MAX} ms:\n${tail(logOf(name))}`);
    }
  }

  return {
    url: urlOf("gateway"),
    mailUrl: `http://127.0.0.1:${portsOf(mail)["MAIL_PORT"]}`,
    smtpPort: Number(portsOf(mail)["SMTP_PORT"]),
    services: SERVICE_NAMES.flatMap(replicasOf),
    gateways: replicasOf("gateway"),
    fronts,
    env: shared,
    start,
    end,
    freeze: (name) => signal(name, "SIGSTOP"),
    thaw: (name) => signal(name, "SIGCONT"),
    setClock,
    open,
    async startAll() {
      for (const name of names) start(name);
      await Promise.all(names.map((name) => open(name, "readyz")));
    },
    health: async (name) => (await fetch(`http://127.0.0.1:${portsOf(name)["OPS_PORT"]}/health`)).text(),
    log: (name) => readFileSync(logOf(name), "utf8"),
    async close() {
      await Promise.all([...running.keys()].map((name) => end(name, "SIGKILL")));
      await Promise.all(Object.values(fronts).map((front) => front.end()));
      if (!process.env["CHAOS_KEEP"]) rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** "order-2" is one of order's. */
export function serviceOf(name: string): string {
  return name.replace(/-\d+$/, "");
}

async function openFronts(
  services: string[],
  portsOf: (service: string) => Record<string, string>[],
): Promise<Record<string, TcpProxy>> {
  const fronts: Record<string, TcpProxy> = {};
  for (const service of services) {
    const [first, ...others] = portsOf(service).map(({ PORT }) => ({ hostname: "127.0.0.1", port: Number(PORT) }));
    if (first) fronts[service] = await startTcpProxy(first, ...others);
  }
  return fronts;
}

/** Undefined when nobody answers. */
async function statusOf(url: string, tls: InnerTls | undefined): Promise<number | undefined> {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(2_000), ...over(tls) })).status;
  } catch (error) {
    if (error instanceof DOMException || (error instanceof Error && "code" in error)) return undefined;
    throw error;
  }
}

function tail(path: string): string {
  return readFileSync(path, "utf8").split("\n").slice(-12).join("\n");
}
