import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PICTURES, type Picture } from "../../observability/pictures.ts";
import { testUnless } from "../../tests/kit/test-unless.ts";
import { ROOT } from "../tree.ts";
import type { Over, Series } from "./ask.ts";
import { CHROMIUM, drawChart } from "./chart.ts";
import { resolved } from "./panels.ts";
import { chartOf, panelOf } from "./pictures.ts";

const FOLDER = join(ROOT, "docs/pictures");
const DOCUMENT = join(ROOT, "docs/observability.md");
const BYTES_MAX = 60_000;
const WAITING: Picture = {
  file: "waiting",
  scene: "nothing gets on",
  board: "Messaging",
  panel: "Age of the oldest that waits",
};
const OVER: Over = { start: 1_800_000_000, end: 1_800_000_600, step: 60 };

const series = (metric: Record<string, string>, values: number[]): Series => ({
  metric,
  values: values.map((value, index) => [OVER.start + index * OVER.step, String(value)]),
});

/** A Prometheus with one alert and these series. */
const finding = (...found: Series[]) => ({
  range: async (query: string) =>
    query.includes("ALERTS") ? [{ metric: {}, values: series({}, [1, 1, 1]).values.slice(1) }] : found,
});

test("every picture is of a panel that there is, and nothing of its queries is left open", () => {
  for (const picture of PICTURES)
    for (const { query } of panelOf(picture)) expect(resolved(query, picture.service ?? "")).not.toBe("");
  const [one] = PICTURES;
  if (!one) throw new Error("expected pictures, found none");
  expect(() => panelOf({ ...one, panel: "What nobody looks at" })).toThrow("found none");
  expect(() => panelOf({ ...one, board: "Nothing" })).toThrow("found none");
  expect(() => resolved('up{service="$service", of="$of"}', "order")).toThrow('of="$of"');
});

test("every picture lies in docs/pictures, small, and is shown; no other does", () => {
  const files = PICTURES.map(({ file }) => `${file}.png`);
  expect(readdirSync(FOLDER).toSorted()).toEqual(files.toSorted());
  const document = readFileSync(DOCUMENT, "utf8");
  for (const file of files) {
    expect(document).toContain(`](pictures/${file})`);
    expect(Bun.file(join(FOLDER, file)).size).toBeLessThan(BYTES_MAX);
  }
});

test("a chart has its panel's title, unit and legend, what its alert did, and where it comes from", async () => {
  const ask = finding(
    series({ service: "mail", kind: "due" }, [0, 0, 0, 0]),
    series({ service: "order", kind: "outbox" }, [0, 60, 180, Number.NaN]),
  );
  const chart = await chartOf(ask, WAITING, OVER);
  expect(chart.title).toBe("Age of the oldest that waits");
  expect(chart.label).toBe(
    "drawn from Messaging / Age of the oldest that waits, 2027-01-15T08:00:00Z to 2027-01-15T08:10:00Z; not Grafana",
  );
  expect([chart.unit, chart.minutes.at(-1)]).toEqual(["min", 10]);
  const named = chart.lines.filter(({ name }) => name);
  expect(named.map(({ name, values }) => [name, ...values.slice(0, 5)])).toEqual([
    ["order outbox", 0, 1, 3, null, null],
  ]);
  expect(chart.others).toBe("and 1 lower");
  expect(chart.fires).toMatchObject({ alert: "OutboxBehind", spans: [[1, 3]] });
});

test("a variable is resolved by the picture's service", async () => {
  const asked: string[] = [];
  async function range(query: string) {
    asked.push(query);
    return [];
  }
  const chart = await chartOf(
    { range },
    { file: "calls", scene: "nothing gets on", board: "One service", panel: "Calls", service: "stock" },
    OVER,
  );
  expect(asked[0]).toContain('service="stock"');
  expect(chart.label).toStartWith("drawn from One service (stock) / Calls,");
});

testUnless(CHROMIUM.found() ? undefined : "Chromium is not installed")(
  "Chromium draws it, small; what cannot be drawn is an error",
  async () => {
    const file = join(tmpdir(), `bodega-chart-${crypto.randomUUID()}.png`);
    try {
      const chart = await chartOf(finding(series({ service: "order", kind: "outbox" }, [0, 60, 180])), WAITING, OVER);
      await drawChart(chart, file);
      const png = readFileSync(file);
      expect([png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual([900, 300]);
      expect(png.length).toBeLessThan(BYTES_MAX);
      // A mistake of ours in the page.
      const broken = { ...chart, fires: { ...chart.fires, spans: [null as never] } };
      await expect(drawChart(broken, file)).rejects.toThrow("has not drawn");
    } finally {
      if (existsSync(file)) await Bun.file(file).delete();
    }
  },
);
