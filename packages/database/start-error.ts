import { statfsSync } from "node:fs";

const DISK_BYTES_MIN = 20_000_000; // PostgreSQL wants room for one more piece of its log (16 MB)

/** The system cannot start, and a person can do something about it: the message says what. */
export class StartError extends Error {
  override name = "StartError";
}

/** Turns what the file system refused into a sentence; what is not its refusal is a bug and stays what it is. */
export function explain(error: unknown, folder: string): unknown {
  if (error instanceof StartError) return error;
  const refused = (what: string) => new StartError(what, { cause: error });
  switch (codeOf(error)) {
    case "ENOSPC":
    case "EDQUOT":
    case "SQLITE_FULL":
      return refused(diskFull(folder));
    case "EACCES":
    case "EPERM":
    case "EROFS":
    case "SQLITE_CANTOPEN":
    case "SQLITE_PERM":
    case "SQLITE_READONLY":
      return refused(
        `The data folder ${folder} must be readable and writable for this user but is not (${messageOf(error)}): give it to the user, start as the user who owns it, or choose another one with DATA_DIR.`,
      );
    case "ENOTDIR":
    case "EEXIST":
      return refused(
        `The data folder ${folder} must be a folder but is, or lies below, a file: choose another one with DATA_DIR.`,
      );
    case "SQLITE_NOTADB":
      return refused(
        `The file ${folder}/owner.lock must be empty but holds something else: if no Bodega runs here, remove it.`,
      );
    default:
      return error;
  }
}

/** PostgreSQL runs, and refuses what every service needs at its start. Without a folder it is the one that DATABASE_URL names. */
export function explainDatabase(
  error: unknown,
  folder: string | undefined,
  must = "let its user create roles and databases",
): unknown {
  if (folder !== undefined)
    return isAway(error) && isFull(folder)
      ? new StartError(diskFull(folder), { cause: error })
      : explain(error, folder);
  if (!isNotReady(error)) return error;
  return new StartError(`The database that DATABASE_URL names must answer, and ${must}, but: ${messageOf(error)}.`, {
    cause: error,
  });
}

/** The server is away, or what a service needs on it is not there: somebody may be about to make it ready. */
export function isNotReady(error: unknown): boolean {
  // 28: who we say we are; 3D: no such database; 42501: not allowed.
  return isAway(error) || /^(28|3D|42501)/.test(codeOf(error) ?? "");
}

function isAway(error: unknown): boolean {
  return /^(CONNECT|ECONN|ENOTFOUND|EAI_|08|53|57P)/.test(codeOf(error) ?? "");
}

/** What a person can do about a port that cannot be had. */
export function explainPort(error: unknown, host: string, port: number, variable: string): unknown {
  const because = (sentence: string) => new StartError(sentence, { cause: error });
  switch (codeOf(error)) {
    case "EADDRINUSE":
      return because(
        `Port ${port} on ${host} is taken by another program: end that program, or choose another port with ${variable}.`,
      );
    case "EACCES":
      return because(`Port ${port} on ${host} is not open to this user: choose one above 1023 with ${variable}.`);
    case "EADDRNOTAVAIL":
      return because(
        `The address ${host} is not one of this machine: choose another one with HOST (port ${port}, ${variable}).`,
      );
    default:
      return error;
  }
}

/** A command of PostgreSQL failed: why, as far as the machine or its last words tell, and what to do. */
export function failure(what: string, folder: string, said: string, linesShown: number): StartError {
  const lastWords = said.trim().split("\n").slice(-linesShown).join("\n");
  const why = reason(folder, said);
  return new StartError(`${what}. ${why}${lastWords ? `\nPostgreSQL's last words:\n${lastWords}` : ""}`);
}

function reason(folder: string, said: string): string {
  if (isFull(folder) || /No space left|quota exceeded/i.test(said)) return diskFull(folder);
  if (/ermission denied|not permitted/.test(said)) {
    return `A file or folder on the way to ${folder} is closed to the user who runs PostgreSQL: open it, move the data with DATA_DIR, or start as an ordinary user.`;
  }
  if (/shared memory|semaphores/.test(said)) {
    return "The system has too little shared memory left: end other servers, or raise its limits.";
  }
  return `If the database in ${folder}/postgres is damaged, bring a backup back, or move that folder away to start empty; nothing was removed.`;
}

function isFull(folder: string): boolean {
  const disk = statfsSync(folder);
  return disk.bavail * disk.bsize < DISK_BYTES_MIN;
}

function diskFull(folder: string): string {
  return `The disk that holds ${folder} is full: make room (some 100 MB) and start again; nothing is lost.`;
}

export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
