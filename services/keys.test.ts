import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { SERVICE_NAMES } from "./all.ts";
import { keysFrom, readPublicKeys, writeSecrets } from "./keys.ts";
import { readSettings } from "./settings.ts";

const folder = mkdtempSync(join(tmpdir(), "bodega-keys-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("what `secrets` writes starts every process, and each is given no more than its own", async () => {
  const paths = await writeSecrets(join(folder, "made"), ["ADMIN_PASSWORD", "EVENTLOG_SECRET"]);
  expect(paths.filter((path) => (statSync(path).mode & 0o777) !== 0o600)).toEqual([]);
  const given = (...names: string[]) =>
    Object.fromEntries(names.map((name) => [`${name}_FILE`, join(folder, "made", name.toLowerCase())]));
  const env = { DATABASE_URL: "postgres://db/postgres", ...given("PUBLIC_KEYS") };
  for (const name of SERVICE_NAMES) {
    const own = given(`${name.toUpperCase()}_KEY`, "BROKER_KEY", "ADMIN_PASSWORD", "EVENTLOG_SECRET");
    expect((await readSettings([name], { ...env, ...own })).services).toEqual([name]);
  }
  await readSettings(["gateway"], { ...env, ...given("GATEWAY_KEY") });
  const { secret } = await readSettings(["provision"], { ...env, ...given("CLUSTER_SECRET") });
  const { services, edge } = readPublicKeys(readFileSync(join(folder, "made", "public_keys"), "utf8"));
  expect([services.length, edge.length, services.some(({ d }) => d)]).toEqual([SERVICE_NAMES.length, 1, false]);
  expect(new Set([secret, ...keysFrom(secret).values()]).size).toBe(SERVICE_NAMES.length + 3);
});

test("what is there stays, and who brings a secret of his own gets the keys that follow from it", async () => {
  const again = join(folder, "made");
  const before = readFileSync(join(again, "admin_password"), "utf8") + readFileSync(join(again, "order_key"), "utf8");
  await writeSecrets(again, ["ADMIN_PASSWORD", "EVENTLOG_SECRET"]);
  const after = readFileSync(join(again, "admin_password"), "utf8") + readFileSync(join(again, "order_key"), "utf8");
  expect(after).toBe(before);
  writeFileSync(join(again, "cluster_secret"), "a secret that was there before, long enough\n");
  const paths = await writeSecrets(again, []);
  const key = readFileSync(paths.find((path) => basename(path) === "order_key") ?? "", "utf8").trimEnd();
  expect(key).toBe(keysFrom("a secret that was there before, long enough").get("ORDER_KEY") ?? "");
});
