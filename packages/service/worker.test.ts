import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { testPorts } from "../../tests/ports.ts";
import { DeliverMail } from "../api/jobs.ts";
import { eventually } from "./eventually.ts";
import { type Running, runService } from "./runtime.ts";
import { doesMany, service } from "./service.ts";

setDefaultTimeout(30_000);
const running: Running[] = [];
afterEach(async () => {
  for (const each of running.splice(0)) await each.close();
});

/** How many jobs each turn took, when a turn takes `turnMs`. */
async function turns(jobs: number, turnMs: number): Promise<number[]> {
  const { ports, clock } = await testPorts();
  const sizes: number[] = [];
  const work = doesMany(DeliverMail, async (_app, _tx, bodies) => {
    sizes.push(bodies.length);
    clock.advance(turnMs);
  });
  const definition = service({ name: "mail", config: {}, answers: [], hears: [], does: [work] });
  const started = await runService(definition, ports);
  running.push(started);
  await started.app.record((tx) => {
    for (let mail = 0; mail < jobs; mail++) tx.enqueue(DeliverMail, { mailId: `mail-${mail}` });
  });
  await started.react();
  await eventually(async () => (await started.backlog()).due === 0n);
  return sizes;
}

test("quick turns take twice as many jobs each time", async () => {
  expect(await turns(200, 0)).toEqual([16, 32, 64, 88]);
});

test("slow turns stay small: what a crash undoes is never the whole backlog", async () => {
  expect(await turns(70, 1_000)).toEqual([16, 16, 16, 16, 6]);
});
