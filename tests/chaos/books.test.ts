import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { DeliverMail } from "../../packages/api/jobs.ts";
import { type Running, runService } from "../../packages/service/engine/runtime.ts";
import { outcomeUnknown } from "../../packages/service/errors.ts";
import { effectMany, service } from "../../packages/service/service.ts";
import { eventually } from "../kit/eventually.ts";
import { testPorts } from "../kit/ports.ts";
import { hasten } from "./books.ts";

setDefaultTimeout(30_000);
const running: Running[] = [];
afterEach(async () => {
  for (const each of running.splice(0)) await each.close();
});

test("what nobody knows of is tried again before the books are closed, and what is under way is left alone", async () => {
  const { ports, clock } = await testPorts();
  const half = Promise.withResolvers<string>();
  const begun: string[] = [];
  const does = effectMany(DeliverMail, {
    atOnce: 4,
    async perform(_app, { body: { mailId } }, { number }) {
      begun.push(`${mailId} ${number}`);
      if (mailId === "slow") return half.promise;
      if (number === 1) throw outcomeUnknown("the mail server did not say that it took it");
      return "sent";
    },
    settle: async () => {},
  });
  const started = await runService(service({ name: "mail", config: {}, answers: [], hears: [], does: [does] }), ports);
  running.push(started);
  const { app } = started;
  await app.record((tx) => {
    for (const mailId of ["slow", "unknown"]) tx.enqueue(DeliverMail, { mailId });
  });
  await started.react();
  const keys = async (which: string) =>
    (await app.sql.unsafe<{ key: string }[]>(`select key from jobs where ${which} order by key`)).map(({ key }) => key);
  await eventually(async () => (await keys("trouble = 'unknown'")).length === 1 && begun.length === 2);
  const { sql } = app;
  const databases = { order: sql, stock: sql, payment: sql, mail: sql };
  await hasten(databases, (ms) => new Date(clock.now().getTime() + ms - Date.now()));
  await eventually(async () => (await keys("true")).join() === "slow");
  expect(begun.toSorted()).toEqual(["slow 1", "unknown 1", "unknown 2"]);
  half.resolve("sent");
  await eventually(async () => (await keys("true")).length === 0);
});
