import { expect, test } from "bun:test";
import { createLog, type Line } from "../../telemetry/log.ts";
import { createMetrics } from "../../telemetry/metrics.ts";
import { systemClock } from "../../time/clock.ts";
import { createOpsPages, createReadyAnswer, type EdgeService } from "./health.ts";

const BACKLOG = {
  outbox: 2n,
  outboxOldest: null,
  due: 0n,
  dueOldest: null,
  scheduled: 0n,
  parked: 3n,
  asOf: new Date(0),
};
const SILENT = new Promise<never>(() => {});

function opsOver(backlogs: Record<string, EdgeService["backlog"]>, ready: EdgeService["ready"] = async () => {}) {
  const lines: Line[] = [];
  const metrics = createMetrics();
  const services = Object.entries(backlogs).map(([name, backlog]) => ({
    ...{ name, rpcs: [], ready },
    ...(backlog && { backlog }),
  }));
  const pages = createOpsPages(
    services,
    metrics,
    createLog((line) => lines.push(line)),
  );
  return { lines, metrics, get: (path: string) => pages(new Request(`http://ops${path}`)) };
}

const BACKLOGS = {
  order: async () => BACKLOG,
  stock: () => SILENT,
  mail: () => Promise.reject(new Error("no such table")),
  kitchen: undefined,
};

test("a backlog that is never told, or cannot be, is named as such beside those of the others", async () => {
  const answer = await opsOver(BACKLOGS).get("/health");
  expect(await answer.json()).toMatchObject({
    status: "ready",
    services: {
      order: { database: "ok", backlog: { outbox: 2, parked: 3 } },
      stock: { database: "ok", backlog: { unanswered: "Error: gave no answer within 1000 ms" } },
      mail: { database: "ok", backlog: { unanswered: "Error: no such table" } },
      kitchen: { database: "ok" },
    },
  });
});

test("a scrape waits for no backlog that is never told, nor for anything else, and the log says whose it was", async () => {
  const { get, lines, metrics } = opsOver(BACKLOGS);
  metrics.onScrape(() => SILENT);
  const text = await (await get("/metrics")).text();
  expect(text).toContain('bodega_backlog{service="order",kind="parked"} 3');
  expect(text).not.toContain('bodega_backlog{service="stock"');
  // What cannot be counted may be reached all the same.
  expect(text).toContain('bodega_database_answers{service="stock"} 1');
  expect(lines).toMatchObject(["mail", "stock"].map((backlog) => ({ event: "metrics.backlog_failed", backlog })));
});

test("a database that no longer answers is told as away, and of what waited there nothing old is shown", async () => {
  let away = false;
  const asked = async () => {
    if (away) throw new Error("gone");
    return BACKLOG;
  };
  const { get } = opsOver({ order: asked }, asked);
  const shown = async () =>
    (await (await get("/metrics")).text())
      .split("\n")
      .filter((line) => /^bodega_(database_answers|backlog)\{.*(order"|parked)/.test(line));
  const parked = 'bodega_backlog{service="order",kind="parked"} 3';
  expect(await shown()).toContain(parked);
  expect(await shown()).toContain('bodega_database_answers{service="order"} 1');
  away = true;
  expect(await shown()).toEqual(['bodega_database_answers{service="order"} 0']);
});

test("why it does not answer is told to operators, and not to who asks the edge", async () => {
  const gone = () => Promise.reject(new Error("gone, at 10.1.2.3"));
  const { services } = JSON.parse(await (await opsOver({ order: gone }, gone).get("/health")).text());
  expect(services.order).toMatchObject({ database: "unreachable", because: "Error: gone, at 10.1.2.3" });
  const edge = createReadyAnswer([{ name: "order", rpcs: [], ready: gone }], () => false, systemClock());
  const ready = await edge();
  expect([ready.status, await ready.json()]).toEqual([
    503,
    { status: "not ready", services: { order: "unreachable" } },
  ]);
});
