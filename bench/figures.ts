// What a suite measures, and how it is told. No I/O here.

/** One closed-loop run: a fixed number of clients, each with one request under way. */
export interface Run {
  clients: number;
  /** Answers within the window. */
  done: number;
  seconds: number;
  p50Ms: number;
  p99Ms: number;
  /** Of all processes of the platform, reactions included until nothing was left to do. */
  cpuMicros: { server: number; postgres: number; load: number };
  /** From the end of the window until every reaction was done. */
  settleSeconds: number;
}

export interface Verdict {
  ratio: number;
  gate: number;
  met: boolean;
}

/** `sorted` ascending; the smallest value that at least `percent` of all values do not exceed. */
export function percentile(sorted: ArrayLike<number>, percent: number): number {
  if (sorted.length === 0) return Number.NaN;
  return sorted[Math.max(0, Math.ceil((sorted.length * percent) / 100) - 1)] ?? Number.NaN;
}

export function median(values: number[]): number {
  return percentile(Float64Array.from(values).sort(), 50);
}

export function rateOf({ done, seconds }: Pick<Run, "done" | "seconds">): number {
  return done / seconds;
}

/** Orders a second when the time the reactions still needed counts too: what could go on for ever. */
export function settledRateOf({ done, seconds, settleSeconds }: Run): number {
  return done / (seconds + settleSeconds);
}

/** The rounds of one number of clients as one: the median of each figure on its own. */
export function medianRun(runs: Run[]): Run {
  const [first] = runs;
  if (!first) throw new Error("expected at least one run, found none");
  const of = (figure: (run: Run) => number) => median(runs.map(figure));
  const seconds = of((run) => run.seconds);
  return {
    clients: first.clients,
    done: of(rateOf) * seconds,
    seconds,
    p50Ms: of((run) => run.p50Ms),
    p99Ms: of((run) => run.p99Ms),
    cpuMicros: {
      server: of((run) => run.cpuMicros.server),
      postgres: of((run) => run.cpuMicros.postgres),
      load: of((run) => run.cpuMicros.load),
    },
    settleSeconds: of((run) => run.settleSeconds),
  };
}

/** The median of each round's own ratio: what slows a whole round down says nothing. */
export function ratioOf(runs: Run[], others: Run[], figure: (run: Run) => number): number {
  return median(ratiosOf(runs, others, figure));
}

/** The standard error of that median, were the ratios normally distributed. */
export function errorOf(runs: Run[], others: Run[], figure: (run: Run) => number): number {
  const ratios = ratiosOf(runs, others, figure);
  const mean = ratios.reduce((sum, ratio) => sum + ratio, 0) / ratios.length;
  const variance = ratios.reduce((sum, ratio) => sum + (ratio - mean) ** 2, 0) / (ratios.length - 1);
  return Math.sqrt((Math.PI / 2) * (variance / ratios.length));
}

function ratiosOf(runs: Run[], others: Run[], figure: (run: Run) => number): number[] {
  return runs.map((run, round) => {
    const other = others[round];
    return other ? figure(run) / figure(other) : Number.NaN;
  });
}

export function verdictOf(rate: number, floor: number, gate: number): Verdict {
  const ratio = rate / floor;
  return { ratio, gate, met: ratio >= gate };
}

/** A figure that may not be above another; one that is no number is no good either. */
export function bar(says: string, found: number, most: number): Bar {
  return { says, found, most, met: found <= most };
}

export interface Bar {
  says: string;
  found: number;
  most: number;
  met: boolean;
}

export function sentenceOf({ says, found, most, met }: Bar): string {
  return `${met ? "met" : "MISSED"}: ${says}: ${Number(found.toFixed(1))}, at most ${most}`;
}

/** Counts that must be one number; the sentence about those that are not, or undefined. */
export function disagreement(counts: Record<string, number>): string | undefined {
  const values = Object.values(counts);
  if (values.length > 0 && values.every((value) => value === values[0])) return undefined;
  return Object.entries(counts)
    .map(([name, value]) => `${name} ${value}`)
    .join(", ");
}

/** Columns as wide as they need to be: the first to the left, numbers to the right. */
export function table(head: string[], rows: string[][]): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: string[]) =>
    cells
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join("  ")
      .trimEnd();
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}
