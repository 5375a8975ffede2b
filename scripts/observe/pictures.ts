// Panels of dashboards as pictures: what their own queries find, under their own titles, units and legends. It is not Grafana that draws them.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { PICTURES, type Picture, type Scene } from "../../observability/pictures.ts";
import type { Ask, Over, Series } from "./ask.ts";
import { type Chart, drawChart } from "./chart.ts";
import { type Panel, panels, resolved } from "./panels.ts";

/** Apart for those who see colours otherwise, too (Okabe and Ito). */
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#332288", "#882255"];
const OTHERS = "#bbb";
const FIRING = "#d5000022";
/** A series that is never higher than this share of the highest has no name. */
const SEEN = 0.01;
const POINTS = 420;
/** No oftener than Prometheus asks. */
const STEP_MIN = 3;

/** Draws them over the same time, into a folder: those of a scene, or all. Gives the names of the files. */
export async function drawPictures(
  ask: Ask,
  { start, end, scene }: { start: number; end: number; scene?: Scene },
  folder: string,
): Promise<string[]> {
  mkdirSync(folder, { recursive: true });
  const over = { start, end, step: Math.max(STEP_MIN, Math.ceil((end - start) / POINTS)) };
  const files: string[] = [];
  for (const picture of PICTURES.filter((each) => !scene || each.scene === scene)) {
    const file = join(folder, `${picture.file}.png`);
    await drawChart(await chartOf(ask, picture, over), file);
    files.push(file);
  }
  return files;
}

/** A panel's queries. Throws when there is no such panel. */
export function panelOf({ board, panel }: Picture): [Panel, ...Panel[]] {
  const [first, ...more] = panels().filter((each) => each.board === board && each.title === panel);
  if (!first) throw new Error(`expected a panel "${panel}" on the dashboard "${board}", found none`);
  if (first.source !== "prometheus")
    throw new Error(`expected a chart at ${board}, ${panel}; found a list of ${first.source}`);
  return [first, ...more];
}

export async function chartOf(ask: Pick<Ask, "range">, picture: Picture, over: Over): Promise<Chart> {
  const targets = panelOf(picture);
  const found: { name: string; values: (number | null)[] }[] = [];
  for (const { query, legend } of targets)
    for (const series of await ask.range(resolved(query, picture.service ?? ""), over))
      found.push({ name: nameOf(legend, series.metric), values: valuesOf(series, over) });
  const { unit = "none", alert } = targets[0];
  const highest = (values: (number | null)[]) => Math.max(0, ...values.filter((value) => value !== null));
  const most = Math.max(0, ...found.map(({ values }) => highest(values)));
  const { factor, word } = scaleOf(unit, most);
  const sorted = found.toSorted((a, b) => highest(b.values) - highest(a.values));
  const named = sorted.filter(({ values }) => most === 0 || highest(values) >= most * SEEN).slice(0, COLOURS.length);
  const rest = sorted.slice(named.length);
  const scaled = (values: (number | null)[]) => values.map((value) => value && value * factor);
  const at = (seconds: number) => new Date(seconds * 1_000).toISOString().replace(/\.\d+Z$/, "Z");
  const board = picture.service ? `${picture.board} (${picture.service})` : picture.board;
  return {
    title: picture.panel,
    label: `drawn from ${board} / ${picture.panel}, ${at(over.start)} to ${at(over.end)}; not Grafana`,
    unit: word,
    whole: unit === "short" || unit === "none",
    most: most === 0 ? 1 : most * factor * 1.08,
    minutes: timesOf(over).map((time) => (time - over.start) / 60),
    lines: [
      ...rest.map(({ values }) => ({
        name: undefined,
        colour: OTHERS,
        width: 1,
        dashed: false,
        values: scaled(values),
      })),
      ...named.map(({ name, values }, index) => ({
        name,
        colour: COLOURS[index] ?? OTHERS,
        width: 2,
        // One that runs over another lets it be seen.
        dashed: index % 2 === 1,
        values: scaled(values),
      })),
    ],
    others: rest.length > 0 ? `and ${rest.length} lower` : "",
    fires: { alert, colour: FIRING, spans: alert ? await firing(ask, alert, over) : [] },
  };
}

function timesOf({ start, end, step }: Over): number[] {
  return Array.from({ length: Math.floor((end - start) / step) + 1 }, (_, index) => start + index * step);
}

function valuesOf({ values }: Series, over: Over): (number | null)[] {
  const known = new Map(values.map(([at, value]) => [at, Number(value)]));
  return timesOf(over).map((at) => {
    const value = known.get(at);
    return value === undefined || !Number.isFinite(value) ? null : value;
  });
}

/** When any alert of this name fires, in minutes. */
async function firing(ask: Pick<Ask, "range">, alert: string, over: Over): Promise<[number, number][]> {
  const found = await ask.range(`max(ALERTS{alertname="${alert}", alertstate="firing"})`, over);
  const spans: [number, number][] = [];
  for (const [at] of found.flatMap(({ values }) => values)) {
    const [from, to] = [(at - over.start) / 60, (Math.min(at + over.step, over.end) - over.start) / 60];
    const last = spans.at(-1);
    if (last && from <= last[1] + 1e-6) last[1] = to;
    else spans.push([from, to]);
  }
  return spans;
}

/** As Grafana fills in a legend. */
function nameOf(legend: string, labels: Record<string, string>): string {
  return legend.replaceAll(/\{\{(\w+)\}\}/g, (_, label: string) => labels[label] ?? "").trim();
}

/** So that the figures up to this one are read at a glance. */
function scaleOf(unit: string, most: number): { factor: number; word: string } {
  if (unit === "s" && most >= 120) return { factor: 1 / 60, word: "min" };
  if (unit === "s") return most < 1 ? { factor: 1_000, word: "ms" } : { factor: 1, word: "s" };
  if (unit === "bytes") return { factor: 1 / 1024 ** 2, word: "MB" };
  if (unit === "percentunit") return { factor: 100, word: "%" };
  return { factor: 1, word: unit === "ops" || unit === "reqps" ? "/s" : "" };
}
