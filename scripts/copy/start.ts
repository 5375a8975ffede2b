// Another copy of the program, in a process of its own.
import { closeSync, openSync } from "node:fs";
import { ROOT } from "../tree.ts";
import type { Environment } from "./ports.ts";

/** Of the program, when it serves. */
export const BANNER = "Bodega is open.";
const STOP_MS_MAX = 30_000;

export interface CopyOptions {
  /** Nothing else is in its environment but PATH and HOME. */
  env: Environment;
  /** Gets what it says on stdout. */
  logFile: string;
  /** As a user starts it, with the `bun` around it: `bun dev`, in a process group of its own. */
  asUser?: boolean;
  /** What the process runs, as services/main.ts is told; left out, everything. */
  runs?: string[];
  /** For the Bun that runs it. */
  bunArgs?: string[];
  /** Another tree than this one. */
  root?: string;
}

export interface Copy {
  pid: number;
  /** What it has said on stderr so far. */
  said(): string;
  /** Resolves when the banner is there; throws when it ends before. */
  open(): Promise<void>;
  exited: Promise<number>;
  /** To all of it, as a terminal would. PostgreSQL is not of its group. */
  signal(name: NodeJS.Signals): void;
  /** By ^C, and when that takes too long by force; resolves when it is gone. */
  end(): Promise<void>;
}

export function startCopy({ env, logFile, asUser = false, bunArgs = [], runs = [], root = ROOT }: CopyOptions): Copy {
  const output = openSync(logFile, "a");
  const child = Bun.spawn([process.execPath, ...bunArgs, ...(asUser ? ["dev"] : ["scripts/dev.ts"]), ...runs], {
    cwd: root,
    env: { PATH: process.env["PATH"] ?? "", HOME: process.env["HOME"] ?? "", ...env },
    stdin: "ignore",
    stdout: output,
    stderr: "pipe",
    detached: asUser,
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
    opened.reject(new Error(`Bodega ended with ${code} before it was open:\n${text}`));
    return code;
  });
  function signal(name: NodeJS.Signals) {
    // Its number may be a stranger's once it has ended.
    if (child.exitCode === null && child.signalCode === null) process.kill(asUser ? -child.pid : child.pid, name);
  }
  return {
    pid: child.pid,
    said: () => text,
    open: () => opened.promise,
    exited,
    signal,
    async end() {
      signal("SIGINT");
      const late = setTimeout(() => signal("SIGKILL"), STOP_MS_MAX);
      await exited;
      clearTimeout(late);
    },
  };
}
