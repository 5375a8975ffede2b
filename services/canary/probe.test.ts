import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import type { App } from "../../packages/service/app.ts";
import { eventually } from "../../tests/kit/eventually.ts";
import { type LiveEdge, startLiveEdge } from "../../tests/kit/live-edge.ts";
import { type System, startSystem } from "../../tests/kit/system.ts";
import type { CanaryConfig } from "./config.ts";
import { createProbe } from "./probe.ts";

setDefaultTimeout(60_000);
const EVERY_MS = 100;

let system: System;
let edge: LiveEdge;
beforeAll(async () => {
  system = await startSystem({ services: ["canary"] });
  edge = await startLiveEdge(system);
});
afterAll(async () => {
  await edge.close();
  await system.close();
});

/** The canary's app with a probe that asks this edge. */
function probing(edgeUrl: string): App<CanaryConfig> {
  return { ...system.app("canary"), config: { probe: { everyMs: EVERY_MS, edgeUrl } } };
}

async function figures(): Promise<Record<string, number>> {
  const { body } = await system.app("canary").metrics.expose();
  const lines = body.matchAll(/^bodega_canary_probe(?:s_total|_seconds_count)\{\w+="(\w+)"\} (\d+)$/gm);
  return Object.fromEntries(
    Array.from(lines, ([line, label, value]) => [
      `${line?.includes("seconds") ? "seconds " : ""}${label}`,
      Number(value),
    ]),
  );
}

test("a probe goes the whole way, and its figures tell how long it took", async () => {
  const run = createProbe();
  await run(probing(edge.url));
  expect(await figures()).toEqual({});
  await run(probing(edge.url));
  expect(await figures()).toEqual({ delivered: 1, "seconds answered": 1, "seconds delivered": 1 });
});

test("an edge that is away is a figure too, and nothing more", async () => {
  const run = createProbe();
  await run(probing("http://127.0.0.1:1"));
  await run(probing("http://127.0.0.1:1"));
  expect(await figures()).toMatchObject({ refused: 1, "seconds answered": 1 });
});

test("what is not delivered in time is late", async () => {
  const run = createProbe();
  await run(probing(edge.url));
  const { sql } = system.app("canary");
  await sql.unsafe(`
    create function lose() returns trigger language plpgsql as 'begin return null; end';
    create trigger lost before insert on arrivals for each row execute function lose()`);
  try {
    await run(probing(edge.url));
  } finally {
    await sql.unsafe("drop trigger lost on arrivals");
  }
  expect(await figures()).toMatchObject({ late: 1, delivered: 1 });
});

test("with CANARY_EVERY it stands: it goes on by itself", async () => {
  const standing = await startSystem({
    services: ["canary"],
    env: { CANARY_EVERY: `${EVERY_MS}ms`, CANARY_URL: edge.url },
  });
  try {
    // It asks the first system's edge: what comes out there is what it waits for here, and does not find.
    await eventually(async () => standing.lines.some(({ event }) => event === "canary.late"));
  } finally {
    await standing.close();
  }
});
