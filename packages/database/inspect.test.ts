import { expect, test } from "bun:test";
import { testDatabase } from "../../tests/kit/databases.ts";
import { openDatabase } from "./database.ts";
import { inspectServer, inspectSlots } from "./inspect.ts";
import { openReplicas } from "./replicas.ts";
import { dropSlot, makeSlot } from "./slot.ts";

test("the server tells its version, its connections and the size of each service's database, to a user without rights", async () => {
  const { database } = await testDatabase();
  const { found, figures, troubles } = await inspectServer({ databases: [{ name: "order", sql: database.sql }] });
  expect(found).toMatch(/^PostgreSQL \d+[.\d]*, \d+\.\d MiB, \d+ of \d+ connections$/);
  expect(figures).toMatchObject({ sizes: [{ service: "order", bytes: expect.any(Number) }], copies: [] });
  expect(troubles).toEqual([]);
  await database.close();
});

test("a replica that is none is a trouble, named by its place and not by who may read it", async () => {
  const { database, url } = await testDatabase();
  const replicas = openReplicas([url], "test", database.sql, () => performance.now());
  const told = await inspectServer({ databases: [{ name: "order", sql: database.sql }], replicas });
  const { host, password } = new URL(url);
  expect(told.troubles).toEqual([
    { says: `the copy at ${host} gives no answer, or is no copy`, fix: expect.any(String) },
  ]);
  expect(JSON.stringify(told)).not.toContain(password);
  await replicas.close();
  await database.close();
});

test("a slot that nobody reads is a trouble, with what it holds back and the command that drops it", async () => {
  const { database, relayUrl } = await testDatabase();
  const reader = openDatabase(relayUrl, "reader");
  const slot = `planted_${process.pid}`;
  await makeSlot(reader, slot);
  const { figures, troubles } = await inspectSlots(database.sql);
  expect(figures["slots"]).toContainEqual({
    slot,
    kind: "logical",
    active: false,
    status: "reserved",
    heldBytes: expect.any(Number),
  });
  // The server is shared with other tests, and their slots.
  expect(troubles.filter(({ says }) => says.includes(slot))).toEqual([
    {
      says: expect.stringMatching(/is not active: the server keeps \d+\.\d MiB of log for it/),
      fix: expect.stringContaining(`select pg_drop_replication_slot('${slot}')`),
    },
  ]);
  await dropSlot(reader, slot);
  expect(JSON.stringify(await inspectSlots(database.sql))).not.toContain(slot);
  await reader.close();
  await database.close();
});
