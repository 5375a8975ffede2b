import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { eventually } from "../../../tests/kit/eventually.ts";
import { testPorts } from "../../../tests/kit/ports.ts";
import { DeliverMail, RefundRemainder } from "../../api/jobs.ts";
import type { Body } from "../../api/messages.ts";
import { type Clock, systemClock } from "../../time/clock.ts";
import { sleep } from "../../time/wait.ts";
import type { App } from "../app.ts";
import { does, doesMany, type Message, service } from "../service.ts";
import { type Ports, type Running, runService } from "./runtime.ts";

setDefaultTimeout(30_000);
const HOUR_MS = 3_600_000;
const running: Running[] = [];
afterEach(async () => {
  for (const each of running.splice(0)) await each.close();
});

/** How many jobs each turn took, when a turn takes `turnMs`. */
async function turns(jobs: number, turnMs: number): Promise<number[]> {
  const { ports, clock } = await testPorts();
  const sizes: number[] = [];
  const work = doesMany(DeliverMail, async (_app, _tx, messages) => {
    sizes.push(messages.length);
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

/** A service that does `DeliverMail`, and the wake-ups it asked for. */
async function sleeper(ports: Ports) {
  const done: string[] = [];
  const wakeUps: [string, number][] = [];
  ports.jobs.wakeLater = (queue, ms) => wakeUps.push([queue, ms]);
  const work = doesMany(DeliverMail, async (_app, _tx, messages) => {
    done.push(...messages.map(({ body }) => body.mailId));
  });
  const started = await runService(service({ name: "mail", config: {}, answers: [], hears: [], does: [work] }), ports);
  running.push(started);
  await started.react();
  return { app: started.app, done, wakeUps };
}

test("what is enqueued for later asks for a wake-up, in real time whatever the scale of business time", async () => {
  const { ports } = await testPorts();
  const clock: Clock = systemClock(3_600, { real: Date.now(), business: Date.now() });
  const { app, wakeUps } = await sleeper({ ...ports, clock });
  await app.record((tx) =>
    tx.enqueue(DeliverMail, { mailId: "later" }, { at: new Date(clock.now().getTime() + 4 * HOUR_MS) }),
  );
  const [[queue, ms] = ["", 0]] = wakeUps;
  expect(wakeUps).toHaveLength(1);
  expect(queue).toBe("mail");
  expect(ms).toBeGreaterThan(0);
  expect(ms).toBeLessThanOrEqual(4_000);
});

test("without any wake-up, another process does what falls due", async () => {
  const { ports, clock, again } = await testPorts();
  const other = await sleeper(again());
  const asker = await runService(service({ name: "mail", config: {}, answers: [], hears: [], does: [] }), ports);
  running.push(asker);
  await asker.app.record((tx) =>
    tx.enqueue(DeliverMail, { mailId: "later" }, { at: new Date(clock.now().getTime() + 4 * HOUR_MS) }),
  );
  expect(other.done).toEqual([]);
  clock.advance(4 * HOUR_MS);
  await eventually(() => other.done.length === 1);
  expect(other.done).toEqual(["later"]);
});

test("a worker whose next job is far away sleeps", async () => {
  const { ports } = await testPorts();
  let sleeps = 0;
  const clock: Clock = {
    ...ports.clock,
    until: (at, signal) => {
      sleeps += 1;
      return ports.clock.until(at, signal);
    },
  };
  const { app } = await sleeper({ ...ports, clock });
  await app.record((tx) => tx.enqueue(DeliverMail, { mailId: "later" }, { at: clock.soon(4 * HOUR_MS) }));
  await sleep(2_500);
  // It looks once a second: a few times, not hundreds.
  expect(sleeps).toBeGreaterThan(0);
  expect(sleeps).toBeLessThan(10);
});

test.each([
  { when: "as usual", lost: 0 },
  { when: "after another process was lost", lost: 1 },
])(
  "$when a job that can be neither done nor given back keeps none behind it waiting, and is there when it can",
  async ({ lost }) => {
    const { ports, clock } = await testPorts();
    const done: string[] = [];
    const work = does(DeliverMail, (_app: App, { body: { mailId } }: Message<Body<typeof DeliverMail>>) => {
      if (mailId === "first") throw new Error("it bites");
      done.push(mailId);
    });
    const started = await runService(
      service({ name: "mail", config: {}, answers: [], hears: [], does: [work] }),
      ports,
    );
    running.push(started);
    const { sql } = started.app;
    await sql`
      insert into leaders (name, epoch, holder, held_until, session_pid, session_start)
      select 'process lost', 1, '', 'epoch', 0, 'epoch' from generate_series(1, ${lost}::int)`;
    await sql`alter table jobs add constraint unbitten check (error not like '%bites%')`;
    await started.app.record((tx) => {
      for (const mailId of ["first", "second", "third"]) tx.enqueue(DeliverMail, { mailId });
    });
    await started.react();
    await eventually(async () => (await sql`select from jobs`).length === 1);
    expect(await sql`select key, attempts from jobs`).toMatchObject([{ key: "first", attempts: 0 }]);
    await sql`alter table jobs drop constraint unbitten`;
    await eventually(async () => {
      clock.advance(1_000);
      return (await sql`select from jobs where key = 'first' and error like '%bites%'`).length === 1;
    });
    expect(done).toEqual(["second", "third"]);
  },
);

test("a queue that takes nothing keeps no other waiting, and gets its jobs when it takes them", async () => {
  const { ports } = await testPorts();
  const sent: string[] = [];
  let refusals = 0;
  let refusing = true;
  ports.jobs.send = async (queue, messages) => {
    if (queue === "mail" && refusing) {
      refusals += 1;
      throw new Error("no majority");
    }
    sent.push(...messages.map(({ key }) => `${queue} ${key}`));
  };
  const asker = await runService(service({ name: "order", config: {}, answers: [], hears: [], does: [] }), ports);
  running.push(asker);
  await asker.app.record((tx) => {
    tx.enqueue(DeliverMail, { mailId: "first" });
    tx.enqueue(RefundRemainder, { paymentId: "second" });
  });
  await asker.react();
  await eventually(() => sent.length > 0 && refusals > 0);
  expect(sent).toEqual(["payment second"]);
  refusing = false;
  await eventually(() => sent.length === 2);
  expect(sent).toEqual(["payment second", "mail first"]);
  expect((await asker.backlog()).due).toBe(0n);
});
