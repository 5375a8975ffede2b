import { expect, setDefaultTimeout, test } from "bun:test";
import { testDatabase } from "../../../tests/kit/databases.ts";
import { createLog, type Line } from "../../telemetry/log.ts";
import { createMetrics } from "../../telemetry/metrics.ts";
import { ENGINE_KEEPS } from "./maintenance.ts";
import { showSizes } from "./table-sizes.ts";

setDefaultTimeout(60_000);

test("the size of each table on the list is shown, looked at once a minute, and not shown while it cannot be", async () => {
  const { database } = await testDatabase();
  const { sql } = database;
  const metrics = createMetrics();
  const lines: Line[] = [];
  let nowMs = 0;
  const log = createLog((line) => lines.push(line));
  showSizes({ service: "test", sql, metrics, log }, ENGINE_KEEPS, () => nowMs);
  const sizeOf = async (table: string) => {
    const line = (await metrics.expose()).body
      .split("\n")
      .find((each) => each.startsWith(`bodega_table_bytes{service="test",table="${table}"}`));
    return line === undefined ? undefined : Number(line.split(" ").at(-1));
  };
  const empty = (await sizeOf("inbox")) ?? 0;
  expect(empty).toBeGreaterThan(0);
  for (const { table } of ENGINE_KEEPS) expect(await sizeOf(table)).toBeDefined();
  await sql`insert into inbox select 0, gen_random_uuid(), clock_timestamp() from generate_series(1, 1000)`;
  expect(await sizeOf("inbox")).toBe(empty);
  nowMs = 60_000;
  expect(await sizeOf("inbox")).toBeGreaterThan(empty);
  await database.close();
  nowMs = 120_000;
  expect(await sizeOf("inbox")).toBeUndefined();
  expect(lines.map(({ event }) => event)).toEqual(["sizes.unmeasured"]);
});
