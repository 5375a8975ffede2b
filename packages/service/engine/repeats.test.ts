import { expect, test } from "bun:test";
import { createLog, type Line } from "../../telemetry/log.ts";
import { createMetrics } from "../../telemetry/metrics.ts";
import { checkRepeats } from "./repeats.ts";

const DAY_MS = 86_400_000;

async function check(repeatMs: () => Promise<Map<string, number>>) {
  const lines: Line[] = [];
  const metrics = createMetrics();
  const log = createLog((line) => lines.push(line));
  await checkRepeats({ repeatMs }, { log, metrics, closing: new AbortController().signal });
  return { lines, text: (await metrics.expose()).body };
}

test("a topic that keeps facts longer than inboxes remember is an error line that says what to set", async () => {
  const days = { order: 37 * DAY_MS, stock: 45 * DAY_MS + 1, user: Number.POSITIVE_INFINITY };
  const { lines, text } = await check(async () => new Map(Object.entries(days)));
  expect(lines.map(({ level, event, ...rest }) => [level, event, rest["topic"]])).toEqual([
    ["error", "events.kept_too_long", "stock"],
    ["error", "events.kept_too_long", "user"],
  ]);
  expect(JSON.stringify(lines[0])).toContain("expected topic stock to keep facts for less than the 45 days");
  expect(JSON.stringify(lines[0])).toContain("found 46 days");
  expect(JSON.stringify(lines[1])).toContain("found for ever");
  expect(text).toContain(`bodega_facts_repeat_seconds{topic="order"} ${(37 * DAY_MS) / 1_000}`);
  expect(text).toContain('bodega_facts_repeat_seconds{topic="user"} +Inf');
});

test("a carrier that gives no answer is asked again until it does, and it is said once", async () => {
  let asked = 0;
  const { lines } = await check(async () => {
    asked += 1;
    if (asked === 1) throw new Error("the broker is away");
    return new Map([["order", Number.POSITIVE_INFINITY]]);
  });
  expect(lines.map(({ event }) => event)).toEqual(["events.retention_unknown", "events.kept_too_long"]);
});
