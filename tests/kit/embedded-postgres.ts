// What the tests of the private PostgreSQL share: owners to be killed, folders to be spoilt, and their removal.
import { expect } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { SQL } from "bun";
import { type EmbeddedServer, startEmbeddedPostgres } from "../../packages/database/embedded.ts";
import { StartError } from "../../packages/database/start-error.ts";
import { scratchFolder } from "./scratch.ts";

const DATABASE = join(import.meta.dir, "../../packages/database");
const folders: string[] = [];
const owners: Bun.Subprocess[] = [];
const servers: EmbeddedServer[] = [];
export const cleanups: (() => void)[] = [];
export const isRoot = process.getuid?.() === 0;

export async function cleanUp(): Promise<void> {
  for (const owner of owners.splice(0)) owner.kill("SIGKILL");
  for (const server of servers.splice(0)) await server.close();
  for (const folder of folders.splice(0)) {
    const pid = existsSync(join(folder, "postgres/postmaster.pid")) ? serverPid(folder) : 0;
    if (pid > 1 && pid !== process.pid) Bun.spawnSync(["kill", "-KILL", String(pid)], { stderr: "ignore" });
    cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  }
  for (const cleanup of cleanups.splice(0)) cleanup();
}

export async function start(
  dataDir: string,
  options: { durable?: boolean; lines?: string[] } = {},
): Promise<EmbeddedServer> {
  const log = (line: string) => void options.lines?.push(line);
  const server = await startEmbeddedPostgres({ dataDir, durable: options.durable ?? false, log });
  servers.push(server);
  return server;
}

export async function refused(starting: Promise<EmbeddedServer>): Promise<StartError> {
  const result = await starting.catch((error: unknown) => error);
  if (result instanceof StartError) return result;
  throw new Error(`expected a StartError, found ${Bun.inspect(result)}`);
}

/** Another process that starts the server, says so in one line of JSON, and waits for its end. */
export function spawnOwner(dataDir: string, options: { code?: string; path?: string; prefix?: string[] } = {}) {
  const program = `
    const { startEmbeddedPostgres } = await import(process.env.CODE);
    try {
      const server = await startEmbeddedPostgres({ dataDir: process.env.DATA, durable: false, log() {} });
      process.on("SIGINT", () => server.close().then(() => process.exit(0)));
      console.log(JSON.stringify(server));
      setInterval(() => {}, 1000);
    } catch (error) {
      console.log(JSON.stringify({ name: error.name, message: error.message }));
      process.exit(1);
    }`;
  const env = { CODE: join(options.code ?? DATABASE, "embedded.ts"), DATA: dataDir, HOME: tmpdir() };
  const owner = Bun.spawn([...(options.prefix ?? []), process.execPath, "--no-install", "-e", program], {
    env: { ...env, PATH: options.path ?? `${dirname(Bun.which("ps") ?? "")}:/usr/bin:/bin` },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  owners.push(owner);
  return owner;
}

type Owner = ReturnType<typeof spawnOwner>;

export async function startOwner(dataDir: string, options: Parameters<typeof spawnOwner>[1] = {}) {
  const owner = spawnOwner(dataDir, options);
  const said = await firstLine(owner);
  if (typeof said["url"] !== "string") throw new Error(`the owner did not start: ${JSON.stringify(said)}`);
  return { process: owner, url: said["url"], adopted: said["adopted"] };
}

export async function outcome(owner: Owner): Promise<{ message: string }> {
  const said = await firstLine(owner);
  expect(said["name"]).toBe("StartError");
  return { message: String(said["message"]) };
}

async function firstLine(owner: Owner): Promise<Record<string, unknown>> {
  let text = "";
  for await (const chunk of owner.stdout) {
    text += Buffer.from(chunk).toString();
    if (text.includes("\n")) return JSON.parse(text.slice(0, text.indexOf("\n")));
  }
  throw new Error(`the owner ended with ${await owner.exited} and said nothing`);
}

export async function kill(owner: Owner): Promise<void> {
  owner.kill("SIGKILL");
  await owner.exited;
}

export async function query(url: string, text: string): Promise<unknown> {
  const sql = new SQL(url, { max: 1 });
  try {
    const [row] = await sql.unsafe(text).values();
    return row?.[0];
  } finally {
    await sql.close();
  }
}

export function newFolder(): string {
  const folder = realpathSync(scratchFolder("bodega-embedded-"));
  folders.push(folder);
  return folder;
}

export function serverPid(dataDir: string): number {
  return Number.parseInt(readFileSync(join(dataDir, "postgres/postmaster.pid"), "utf8"), 10);
}

/** A zombie is dead: only its reading by whoever inherited it is missing. */
export function isAlive(pid: number): boolean {
  return /^[^Z]/.test(
    Bun.spawnSync(["ps", "-o", "stat=", "-p", String(pid)])
      .stdout.toString()
      .trim(),
  );
}

export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await Bun.sleep(10);
}

export function fill(folder: string): void {
  Bun.spawnSync(["dd", "if=/dev/zero", `of=${join(folder, "filler")}`, "bs=1M"], { stderr: "ignore" });
  Bun.spawnSync(["dd", "if=/dev/zero", `of=${join(folder, "filler")}`, "bs=1k", "oflag=append", "conv=notrunc"], {
    stderr: "ignore",
  });
}

export function canMount(): boolean {
  if (!isRoot || process.platform !== "linux") return false;
  const probe = mkdtempSync(join(tmpdir(), "bodega-mount-"));
  const works = Bun.spawnSync(["mount", "-t", "tmpfs", "tmpfs", probe], { stderr: "ignore" }).success;
  if (works) Bun.spawnSync(["umount", probe]);
  rmSync(probe, { recursive: true });
  return works;
}

export function isOpenToAll(folder: string): boolean {
  const nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
  return (
    Bun.which("setpriv") !== null &&
    Bun.spawnSync([...nobody, "ls", folder], { stdout: "ignore", stderr: "ignore" }).success
  );
}
