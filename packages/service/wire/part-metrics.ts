import type { Parts } from "../../telemetry/inspection.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import { keptFor } from "../../time/kept.ts";
import { within } from "../../time/wait.ts";
import { inspectParts } from "./parts.ts";

/** An inspection asks servers: not at every scrape. */
const LOOK_EVERY_MS = 10_000;
/** Before the scrape goes on without it. */
const PART_MS_MAX = 1_500;

/** Shows with each scrape how the parts are, as they were a moment before. Of one that is silent no figures are shown, and it is asked at each scrape until it answers. */
export function showParts(parts: Parts, metrics: Metrics, nowMs = () => performance.now()): void {
  const kept: Parts = Object.fromEntries(
    Object.entries(parts).map(([part, inspect]) => [
      part,
      keptFor(LOOK_EVERY_MS, nowMs, () => within(PART_MS_MAX, "no answer", inspect)),
    ]),
  );
  metrics.onScrape(async () => {
    const states = await inspectParts(kept);
    metrics.partBytes.reset();
    metrics.partCount.reset();
    for (const [part, { state, troubles, figures }] of Object.entries(states)) {
      metrics.partAnswers.set({ part }, state === "silent" ? 0 : 1);
      metrics.partTroubles.set({ part }, troubles.length);
      for (const { of, figure, value } of numbersIn(figures))
        (figure.endsWith("ytes") ? metrics.partBytes : metrics.partCount).set({ part, of, figure }, value);
    }
  });
}

interface Figure {
  /** Which of several, by its name; empty of the part as a whole. */
  of: string;
  figure: string;
  value: number;
}

/** What names one of several in a list of figures. */
const NAMES = ["slot", "at", "service", "topic", "group", "queue"];

/** The numbers of a part, of its lists how long they are, and the numbers of what is in them. Lists that have no names are numbered. */
function numbersIn(figures: Record<string, unknown>, of = ""): Figure[] {
  return Object.entries(figures).flatMap(([figure, value]): Figure[] => {
    if (typeof value === "number") return [{ of, figure, value }];
    if (!Array.isArray(value)) return [];
    const items = value.flatMap((item, index) =>
      isObject(item) ? numbersIn(item, nameOf(item) ?? String(index)) : [],
    );
    return [{ of, figure, value: value.length }, ...items];
  });
}

function nameOf(item: Record<string, unknown>): string | undefined {
  const name = NAMES.find((each) => typeof item[each] === "string");
  return name && String(item[name]);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
