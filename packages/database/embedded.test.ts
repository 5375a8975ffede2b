import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  cleanUp,
  isAlive,
  kill,
  newFolder,
  query,
  refused,
  serverPid,
  spawnOwner,
  start,
  startOwner,
  until,
} from "../../tests/kit/embedded-postgres.ts";

setDefaultTimeout(60_000);
afterEach(cleanUp);

test("a new database speaks to its password only, and keeps rows, port and password over a stop", async () => {
  const dataDir = join(newFolder(), "made", "on", "the", "way");
  const first = await start(dataDir, { durable: true });
  expect(await query(first.url, "select current_setting('wal_level') || ' ' || current_setting('fsync')")).toBe(
    "logical on",
  );
  expect(await query(first.url, "select split_part(version(), '.', 1)")).toBe("PostgreSQL 18");
  await query(first.url, "create table kept as select 1 as row");
  await expect(query(first.url.replace(/:[0-9a-f]{48}@/, ":wrong@"), "select 1")).rejects.toThrow(/password/);
  expect(statSync(join(dataDir, "superuser-password")).mode & 0o777).toBe(0o600);
  const pid = serverPid(dataDir);
  await first.close();
  await first.close();
  expect(isAlive(pid)).toBe(false);

  const second = await start(dataDir, { durable: true });
  expect({ ...second, close: null }).toEqual({ ...first, adopted: false, close: null });
  expect(await query(second.url, "select count(*)::int from kept")).toBe(1);
});

test("a server whose owner was killed is adopted with all it holds", async () => {
  const dataDir = newFolder();
  const owner = await startOwner(dataDir);
  await query(owner.url, "create table kept as select 1 as row");
  const pid = serverPid(dataDir);
  await kill(owner.process);
  expect(isAlive(pid)).toBe(true);
  const server = await start(dataDir);
  expect(server.adopted).toBe(true);
  expect(server.url).toBe(owner.url);
  expect(await query(server.url, "select count(*)::int from kept")).toBe(1);
  await server.close();
  expect(isAlive(pid)).toBe(false);
});

test("when owner and server are killed, the next start has every committed row", async () => {
  const dataDir = newFolder();
  const owner = await startOwner(dataDir);
  await query(owner.url, "create table kept as select generate_series(1, 1000) as row");
  await kill(owner.process);
  const pid = serverPid(dataDir);
  process.kill(pid, "SIGKILL");
  await until(() => !isAlive(pid));
  const server = await start(dataDir);
  expect(server.adopted).toBe(false);
  expect(await query(server.url, "select count(*)::int from kept")).toBe(1000);
});

test("a killed server comes back by itself on its port, even when one of its workers is too busy to notice", async () => {
  const dataDir = newFolder();
  const lines: string[] = [];
  const server = await start(dataDir, { lines });
  await query(server.url, "create table kept as select 1 as row");
  const busy = query(server.url, "select count(*) from generate_series(1, 100000000000)").then(String, String);
  const running =
    "select count(*)::int from pg_stat_activity where query like '%generate_series%' and pid <> pg_backend_pid()";
  await until(async () => (await query(server.url, running)) === 1);
  for (const round of [1, 2]) {
    const pid = serverPid(dataDir);
    process.kill(pid, "SIGKILL");
    await until(() => lines.filter((line) => line.includes("is ready again")).length === round);
    expect(serverPid(dataDir)).not.toBe(pid);
    expect(await query(server.url, "select count(*)::int from kept")).toBe(1);
  }
  expect(await busy).not.toMatch(/^\d+$/);
  expect(lines.join("\n")).toContain(`ended unexpectedly: starting it again on port ${server.port}`);
  const last = serverPid(dataDir);
  await server.close();
  expect(isAlive(last)).toBe(false);
});

test("closing while the server is being brought back leaves nothing running", async () => {
  const dataDir = newFolder();
  const lines: string[] = [];
  const server = await start(dataDir, { lines });
  process.kill(serverPid(dataDir), "SIGKILL");
  await until(() => lines.some((line) => line.includes("ended unexpectedly")));
  await server.close();
  const pidFile = join(dataDir, "postgres/postmaster.pid");
  expect(existsSync(pidFile) && isAlive(serverPid(dataDir))).toBe(false);
});

test.each([
  ["the number of a stranger", `${process.pid}\n/elsewhere\n1\n20000\n\n127.0.0.1\n 1 1\nready\n`],
  ["garbage", "\u0000not a number"],
  ["nothing", ""],
])("a left-over pid file with %s in it does not stop a start", async (_, content) => {
  const dataDir = newFolder();
  await (await start(dataDir)).close();
  writeFileSync(join(dataDir, "postgres/postmaster.pid"), content);
  const server = await start(dataDir);
  expect(server.adopted).toBe(false);
  expect(await query(server.url, "select 1::int")).toBe(1);
});

test("a first start that was killed half-way is simply done again", async () => {
  const dataDir = newFolder();
  const owner = spawnOwner(dataDir);
  const work = () => readdirSync(dataDir).filter((name) => name.startsWith("postgres.incomplete-"));
  await until(() => work().some((name) => existsSync(join(dataDir, name, "data/global"))));
  await kill(owner);
  expect(existsSync(join(dataDir, "postgres"))).toBe(false);
  const server = await start(dataDir);
  expect(work()).toEqual([]);
  expect(await query(server.url, "select 1::int")).toBe(1);
});

test("a second owner is refused by the first one's process number, and the first goes on", async () => {
  const dataDir = newFolder();
  const owner = await startOwner(dataDir);
  const refusal = await refused(start(dataDir));
  expect(refusal.message).toContain(`already runs on ${dataDir}, as process ${owner.process.pid}`);
  expect(refusal.message).toContain("DATA_DIR");
  expect(await query(owner.url, "select 1::int")).toBe(1);
  await kill(owner.process);
  expect((await start(dataDir)).adopted).toBe(true);
});

test("Ctrl-C reaches the owner alone, whose close ends the server", async () => {
  const dataDir = newFolder();
  const owner = await startOwner(dataDir);
  const pid = serverPid(dataDir);
  const group = (id: number) =>
    Bun.spawnSync(["ps", "-o", "pgid=", "-p", String(id)])
      .stdout.toString()
      .trim();
  expect(group(pid)).toBe(String(pid));
  owner.process.kill("SIGINT");
  expect(await owner.process.exited).toBe(0);
  expect(isAlive(pid)).toBe(false);
});

test("a server with the settings of tests is restarted, not adopted, by a durable start", async () => {
  const dataDir = newFolder();
  const owner = await startOwner(dataDir);
  await kill(owner.process);
  const server = await start(dataDir, { durable: true });
  expect(server.adopted).toBe(false);
  expect(await query(server.url, "select current_setting('fsync')")).toBe("on");
});
