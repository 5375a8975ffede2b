// `bun dev` as a user starts it, in a process group of its own, and its end by any means.
import { closeSync, openSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { isAlive, serverPid } from "../embedded-postgres.ts";

const ROOT = join(import.meta.dir, "../..");
const BANNER = "Bodega is open.";

export const PORTS = ["PORT", "GRPC_PORT", "OPS_PORT", "MAIL_PORT", "SMTP_PORT"] as const;
export type Environment = Record<string, string>;

export interface Program {
  /** What it has said on stderr so far. */
  said(): string;
  /** Resolves when the banner is there; throws when the program ends before. */
  open(): Promise<void>;
  exited: Promise<number>;
  /** To the program and to the `bun` around it, as a terminal would. PostgreSQL is not of this group. */
  signal(name: NodeJS.Signals): void;
}

/** `logFile` gets what it says on stdout. */
export function startProgram(env: Environment, logFile: string): Program {
  const output = openSync(logFile, "a");
  const child = Bun.spawn([process.execPath, "dev"], {
    cwd: ROOT,
    env: { PATH: process.env["PATH"] ?? "", HOME: process.env["HOME"] ?? "", ...env },
    stdin: "ignore",
    stdout: output,
    stderr: "pipe",
    detached: true,
  });
  closeSync(output);
  let text = "";
  const opened = Promise.withResolvers<void>();
  opened.promise.catch(() => "told to whoever awaits open()");
  const read = async () => {
    const decoder = new TextDecoder();
    for await (const chunk of child.stderr) {
      text += decoder.decode(chunk, { stream: true });
      if (text.includes(BANNER)) opened.resolve();
    }
  };
  const exited = Promise.all([child.exited, read()]).then(([code]) => {
    opened.reject(new Error(`bun dev ended with ${code} before it was open:\n${text}`));
    return code;
  });
  return {
    said: () => text,
    open: () => opened.promise,
    exited,
    signal(name) {
      // Its number may be a stranger's once it has ended.
      if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid, name);
    },
  };
}

/** Five ports that are free now. */
export async function freePorts(): Promise<Environment> {
  const servers = await Promise.all(PORTS.map(() => listening(0)));
  const ports = servers.map(portOf);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return Object.fromEntries(PORTS.map((name, index) => [name, String(ports[index])]));
}

export function listening(port: number): Promise<ReturnType<typeof createServer>> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => resolve(server));
  });
}

function portOf(server: ReturnType<typeof createServer>): number {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a TCP server has an address with a port");
  return address.port;
}

/** The PostgreSQL of a data folder; undefined when none runs. */
export function postgresOf(dataDir: string): number | undefined {
  try {
    const pid = serverPid(dataDir);
    return pid > 1 && isAlive(pid) ? pid : undefined;
  } catch (error) {
    if (error instanceof Error && "code" in error && /^ENO(ENT|TDIR)$/.test(String(error.code))) return undefined;
    throw error;
  }
}

/** As the kernel does when memory is short. False when none was there to be killed. */
export function killPostgres(dataDir: string): boolean {
  const pid = postgresOf(dataDir);
  if (pid === undefined) return false;
  try {
    process.kill(pid, "SIGKILL");
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ESRCH") return false; // it was faster
    throw error;
  }
}
