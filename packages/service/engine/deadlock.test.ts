import { expect, setDefaultTimeout, test } from "bun:test";
import { testPorts } from "../../../tests/kit/ports.ts";
import { table } from "../../database/table.ts";
import type { Tx } from "../app.ts";
import { service } from "../service.ts";
import { runService } from "./runtime.ts";

setDefaultTimeout(60_000);
const INBOX = table("inbox", { bucket: "smallint", message_id: "uuid", seen_at: "timestamptz" });

test("of two stories that lock the same rows the other way round both are done, each once, with what they record", async () => {
  const { ports } = await testPorts();
  const { app, close } = await runService(
    service({ name: "mail", config: {}, answers: [], hears: [], does: [] }),
    ports,
  );
  await app.sql`create table rows as select n, 0 as times from generate_series(1, 2) as n`;
  let begun = 0;
  const bothHaveOne = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const story = (own: number, first: number, second: number) => async (tx: Tx) => {
    begun += 1;
    tx.insert(INBOX, { bucket: own, message_id: crypto.randomUUID(), seen_at: app.clock.now() });
    await tx.sql`update rows set times = times + 1 where n = ${first}`;
    bothHaveOne[own]?.resolve();
    await Promise.all(bothHaveOne.map(({ promise }) => promise));
    await tx.sql`update rows set times = times + 1 where n = ${second}`;
  };
  await Promise.all([app.transact(story(0, 1, 2)), app.transact(story(1, 2, 1))]);
  // One of them was the victim.
  expect(begun).toBe(3);
  expect((await app.sql`select times from rows`).map(({ times }) => times)).toEqual([2, 2]);
  expect((await app.sql`select bucket from inbox order by bucket`).map(({ bucket }) => bucket)).toEqual([0, 1]);
  await close();
});
