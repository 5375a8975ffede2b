// A chart as a PNG, by uPlot in headless Chromium.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../command.ts";
import { find } from "../servers/find.ts";
import type { Need } from "../servers/server.ts";

export interface Chart {
  title: string;
  /** In small print: where it comes from. */
  label: string;
  /** Written behind each figure. */
  unit: string;
  /** There is nothing between 1 and 2. */
  whole: boolean;
  /** The upper end. */
  most: number;
  /** Where each value is, in minutes. */
  minutes: number[];
  lines: { name: string | undefined; colour: string; width: number; dashed: boolean; values: (number | null)[] }[];
  /** Lines that have no name. */
  others: string;
  /** When an alert is firing, in minutes. */
  fires: { alert: string | undefined; colour: string; spans: [from: number, to: number][] };
}

export const CHROMIUM: Need = {
  name: "Chromium",
  found: () => chromium() !== undefined,
  apt: ["chromium", "fonts-liberation"],
  brew: "chromium",
};

const [WIDTH, HEIGHT] = [900, 300];
const SECONDS_MAX = "60";
const SAID = "the chart is drawn";

export async function drawChart(chart: Chart, file: string): Promise<void> {
  const program = chromium();
  if (!program) throw new Error("Chromium draws the pictures, and it is not installed: apt-get install chromium");
  const folder = mkdtempSync(join(tmpdir(), "bodega-chart-"));
  try {
    const page = join(folder, "page.html");
    writeFileSync(page, await pageOf(chart));
    const { code, output } = await run([
      ...["timeout", "-k", "5", SECONDS_MAX, program, "--headless", "--disable-gpu", "--hide-scrollbars"],
      // Which root cannot have, and a page of ours does not need.
      ...["--no-sandbox", "--enable-logging=stderr", `--user-data-dir=${join(folder, "profile")}`],
      ...[`--window-size=${WIDTH},${HEIGHT}`, `--screenshot=${file}`, `file://${page}`],
    ]);
    if (code !== 0 || !output.includes(SAID)) throw new Error(`${program} has not drawn ${file}:\n${output}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function chromium(): string | undefined {
  return find("chromium") ?? find("chromium-browser") ?? find("google-chrome");
}

async function pageOf(chart: Chart): Promise<string> {
  const { outputs } = await Bun.build({
    entrypoints: [join(import.meta.dir, "chart-page.ts")],
    target: "browser",
    format: "iife",
    minify: true,
  });
  const script = await outputs[0]?.text();
  if (!script) throw new Error("chart-page.ts was bundled, and nothing came of it");
  const { title, label, lines, others, fires } = chart;
  const named = lines.flatMap(({ name, colour }) => (name ? legend("line", colour, name) : []));
  const alert = fires.alert && fires.spans.length > 0 ? [legend("band", fires.colour, `${fires.alert} fires`)] : [];
  const data = JSON.stringify({ ...chart, said: SAID }).replaceAll("<", "\\u003c");
  return `<!doctype html><meta charset="utf-8"><style>
    body { margin: 0; width: ${WIDTH}px; height: ${HEIGHT}px; display: flex; flex-direction: column; background: #fff; color: #222;
      font: 12px "Liberation Sans", Arial, sans-serif; }
    h1 { margin: 10px 16px 0; font-size: 14px; }
    #chart { flex: 1; min-height: 0; overflow: hidden; }
    .u-over, .u-under { position: absolute; }
    p { margin: 2px 16px; }
    p span { margin-right: 16px; white-space: nowrap; }
    i { display: inline-block; margin-right: 6px; width: 14px; vertical-align: middle; }
    .line { height: 3px; } .band { height: 12px; }
    .label { color: #777; font-size: 11px; margin-bottom: 8px; }
  </style><h1>${Bun.escapeHTML(title)}</h1><div id="chart"></div>
  <p>${[...named, ...alert].join("")}${others && `<span>${Bun.escapeHTML(others)}</span>`}</p><p class="label">${Bun.escapeHTML(label)}</p>
  <script>const CHART = ${data};</script><script>${script.replaceAll("</script", "<\\/script")}</script>`;
}

function legend(kind: "line" | "band", colour: string, name: string): string {
  return `<span><i class="${kind}" style="background: ${colour}"></i>${Bun.escapeHTML(name)}</span>`;
}
