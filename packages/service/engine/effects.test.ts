import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { eventually } from "../../../tests/kit/eventually.ts";
import { testPorts } from "../../../tests/kit/ports.ts";
import { DeliverMail } from "../../api/jobs.ts";
import type { App, Tx } from "../app.ts";
import { type Does, effectMany, type Performed, service } from "../service.ts";
import { type Running, runService } from "./runtime.ts";

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
    effectMany(DeliverMail, {
      atOnce: 3,
      async perform(_app, { body: { mailId } }) {
        performing += 1;
        most = Math.max(most, performing);
        if (performing === 3) together.resolve();
        await together.promise;
        performing -= 1;
        return `${mailId} sent`;
      },
      async settle(_app: App, tx: Tx, settled: Settled) {
        groups.push(settled.map(({ message, result }) => `${message.body.mailId}: ${result}`));
        const [row] = await tx.sql<{ id: string }[]>`select pg_current_xact_id()::text as id`;
        transactions.add(row?.id ?? "");
      },
    }),
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
    effectMany(DeliverMail, {
      perform: async () => "sent",
      async settle(_app: App, _tx: Tx, group: Settled) {
        if (group.some(({ message }) => message.body.mailId === "mail-1")) throw new Error("mail-1 cannot be settled");
        settled.push(...group.map(({ message }) => message.body.mailId));
      },
    }),
    3,
  );
  const givenBack = async () => (await count(app, "jobs where error is not null")) === 1;
  await eventually(async () => (await givenBack()) && (await count(app, "jobs")) === 1);
  expect(settled.toSorted()).toEqual(["mail-0", "mail-2"]);
  const rows = await app.sql<{ key: string; error: string }[]>`select key, error from jobs`;
  expect(rows).toMatchObject([{ key: "mail-1", error: "mail-1 cannot be settled" }]);
});

test("while one worker is at an effect no other is: its lease holds", async () => {
  const { ports, again } = await testPorts();
  const half = Promise.withResolvers<string>();
  const performed: string[] = [];
  const begin = async (name: string, own: typeof ports, work: Promise<string>) => {
    const does = effectMany(DeliverMail, {
      atOnce: 1,
      async perform(_app, { body: { mailId } }) {
        performed.push(`${name} ${mailId}`);
        return work;
      },
      settle: async () => {},
    });
    const started = await runService(service({ name: "mail", config: {}, answers: [], hears: [], does: [does] }), own);
    running.push(started);
    await started.react();
    return started.app;
  };
  const app = await begin("first", ports, half.promise);
  await app.record((tx) => tx.enqueue(DeliverMail, { mailId: "long" }));
  await eventually(() => performed.length === 1);
  await begin("second", again(), Promise.resolve("sent"));
  // Who does this one has looked for what is due, and would have found the other first.
  await app.record((tx) => tx.enqueue(DeliverMail, { mailId: "short" }));
  await eventually(async () => (await count(app, "jobs")) === 1);
  half.resolve("sent");
  await eventually(async () => (await count(app, "jobs")) === 0);
  expect(performed).toEqual(["first long", "second short"]);
});
