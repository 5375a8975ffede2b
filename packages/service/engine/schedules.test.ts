import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { eventually } from "../../../tests/kit/eventually.ts";
import { testPorts } from "../../../tests/kit/ports.ts";
import { type Schedule, service } from "../service.ts";
import { type Ports, type Running, runService } from "./runtime.ts";

setDefaultTimeout(60_000);
const running: Running[] = [];
afterEach(async () => {
  for (const each of running.splice(0)) await each.close();
});

test("a schedule runs again and again, also after a run that failed", async () => {
  const { ports } = await testPorts();
  let runs = 0;
  await start(ports, async () => {
    runs += 1;
    if (runs === 1) throw new Error("the first time it fails");
  });
  await eventually(() => runs > 2);
});

test("of two processes one runs it, and the other goes on when that one is closed", async () => {
  const { ports, again } = await testPorts();
  const ran = { one: 0, two: 0 };
  const one = await start(ports, async () => {
    ran.one += 1;
  });
  await eventually(() => ran.one > 0);
  await start(again(), async () => {
    ran.two += 1;
  });
  const before = ran.one;
  await eventually(() => ran.one > before + 5);
  expect(ran.two).toBe(0);
  await one.close();
  await eventually(() => ran.two > 0);
});

async function start(ports: Ports, run: Schedule["run"]): Promise<Running> {
  const schedules = [{ name: "often", everyMs: 20, run }];
  const started = await runService(
    service({ name: "order", config: {}, answers: [], hears: [], does: [], schedules }),
    ports,
  );
  running.push(started);
  await started.react();
  return started;
}
