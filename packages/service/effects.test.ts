import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { testPorts } from "../../tests/ports.ts";
import { DeliverMail } from "../api/jobs.ts";
import type { App, Tx } from "./app.ts";
import { eventually } from "./eventually.ts";
import { type Running, runService } from "./runtime.ts";
import { type Does, effectMany, type Performed, service } from "./service.ts";

setDefaultTimeout(30_000);
const running: Running[] = [];
afterEach(async () => {
  for (const each of running.splice(0)) await each.close();
});

async function mailing(does: Does, mails: number): Promise<App> {
  const { ports } = await testPorts();
  const started = await runService(service({ name: "mail", config: {}, answers: [], hears: [], does: [does] }), ports);
  running.push(started);
  await started.app.record((tx) => {
    for (let mail = 0; mail < mails; mail++) tx.enqueue(DeliverMail, { mailId: `mail-${mail}` });
  });
  await started.react();
  return started.app;
}

const count = async (app: App, table: string) =>
  Number((await app.sql.unsafe(`select count(*) as count from ${table}`))[0]?.["count"]);

type Settled = Performed<{ mailId: string }, string>[];

test("no more effects are under way than asked for, and those that happened together are settled in one transaction", async () => {
  let performing = 0;
  let most = 0;
  const together = Promise.withResolvers<void>();
  const groups: string[][] = [];
  const transactions = new Set<string>();
  const app = await mailing(
    effectMany(
      DeliverMail,
      3,
      async (_app, { mailId }) => {
        performing += 1;
        most = Math.max(most, performing);
        if (performing === 3) together.resolve();
        await together.promise;
        performing -= 1;
        return `${mailId} sent`;
      },
      async (_app: App, tx: Tx, settled: Settled) => {
        groups.push(settled.map(({ body, result }) => `${body.mailId}: ${result}`));
        const [row] = await tx.sql<{ id: string }[]>`select pg_current_xact_id()::text as id`;
        transactions.add(row?.id ?? "");
      },
    ),
    4,
  );
  await eventually(async () => (await count(app, "jobs")) === 0);
  expect(most).toBe(3);
  expect(transactions.size).toBe(groups.length);
  expect(groups.length).toBeLessThan(4);
  expect(groups.flat().toSorted()).toEqual([0, 1, 2, 3].map((mail) => `mail-${mail}: mail-${mail} sent`));
});

test("a result that cannot be settled is given back alone: those it was settled with are done", async () => {
  const settled: string[] = [];
  const app = await mailing(
    effectMany(
      DeliverMail,
      8,
      async () => "sent",
      async (_app: App, _tx: Tx, group: Settled) => {
        if (group.some(({ body }) => body.mailId === "mail-1")) throw new Error("mail-1 cannot be settled");
        settled.push(...group.map(({ body }) => body.mailId));
      },
    ),
    3,
  );
  await eventually(async () => (await count(app, "jobs where error is not null")) === 1 && settled.length === 2);
  expect(settled.toSorted()).toEqual(["mail-0", "mail-2"]);
  const rows = await app.sql<{ key: string; error: string }[]>`select key, error from jobs`;
  expect(rows).toMatchObject([{ key: "mail-1", error: "mail-1 cannot be settled" }]);
});
