// `bun dev` as a user starts it, in a process group of its own, and its end by any means.

import type { Environment } from "../../scripts/copy/ports.ts";
import { type Copy, startCopy } from "../../scripts/copy/start.ts";
import { isAlive, serverPid } from "./embedded-postgres.ts";

export type Program = Copy;

/** `logFile` gets what it says on stdout. */
export function startProgram(env: Environment, logFile: string): Program {
  return startCopy({ env, logFile, asUser: true });
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
