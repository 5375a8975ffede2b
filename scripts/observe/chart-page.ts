// In the browser: draws the one chart that the page has been given. Bundled by chart.ts.
import uPlot from "uplot";
import type { Chart } from "./chart.ts";

/** What a page has of it, and this program of the page. */
declare const CHART: Chart & { said: string };
declare const document: { querySelector(selector: string): { clientWidth: number; clientHeight: number } };

const GRID = { stroke: "#e4e4e4", width: 1 };
const FONT = '11px "Liberation Sans", Arial, sans-serif';
/** Pixels between two ticks, at least. */
const [ACROSS, UP] = [60, 30];
const WHOLE = [1, 2, 5].flatMap((digit) => [1, 10, 100, 1_000, 10_000].map((ten) => digit * ten)).toSorted(byNumber);

draw();

function draw() {
  const { unit, whole, most, minutes, lines, fires, said } = CHART;
  const place = document.querySelector("#chart");
  const axis = { grid: GRID, ticks: GRID, font: FONT, stroke: "#555" };
  const options: uPlot.Options = {
    width: place.clientWidth,
    height: place.clientHeight,
    padding: [8, 24, 0, 0],
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { time: false }, y: { range: [0, most] } },
    axes: [
      {
        ...axis,
        space: ACROSS,
        incrs: [1, 2, 5, 10, 15, 30, 60],
        values: (_, ticks) => ticks.map((at) => `${at} min`),
      },
      {
        ...axis,
        ...(whole && { incrs: WHOLE }),
        space: UP,
        size: 70,
        values: (_, ticks) => ticks.map((at) => `${Number(at.toPrecision(6))} ${unit}`.trim()),
      },
    ],
    series: [
      {},
      ...lines.map(({ colour, width, dashed }) => ({
        stroke: colour,
        width,
        points: { show: false },
        ...(dashed && { dash: [7, 7] }),
      })),
    ],
    hooks: {
      drawClear: [
        ({ ctx, bbox, valToPos }) => {
          ctx.fillStyle = fires.colour;
          for (const [from, to] of fires.spans) {
            const left = valToPos(from, "x", true);
            ctx.fillRect(left, bbox.top, valToPos(to, "x", true) - left, bbox.height);
          }
        },
      ],
      // Chromium writes it down: a page that came to grief is not taken for a picture.
      draw: [() => console.log(said)],
    },
  };
  return new uPlot(options, [minutes, ...lines.map(({ values }) => values)], place);
}

function byNumber(a: number, b: number): number {
  return a - b;
}
