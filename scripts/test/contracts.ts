// The table of contracts and adapters, read from what bun test says: one line for each pair that a run has touched.

interface Row {
  port: string;
  adapter: string;
  pass: number;
  fail: number;
  skip: number;
  /** Why what was skipped was. */
  reasons: Set<string>;
}

const LINE = /^\((pass|fail|skip)\) (?:.* > )?([\w ]+) × ([^:>]+): (.*?)(?: \[[\d.]+ms\])?$/gm;

/** Empty when the run had no contract. `said` is without colours. */
export function contractsIn(said: string): string {
  const rows = new Map<string, Row>();
  // What failed or was skipped is told once more at the end of a run.
  const told = new Set<string>();
  for (const [, how, port = "", adapter = "", title = ""] of said.matchAll(LINE)) {
    const name = `${port} × ${adapter}`;
    if (told.has(`${how} ${name}: ${title}`)) continue;
    told.add(`${how} ${name}: ${title}`);
    const row = rows.get(name) ?? { port, adapter, pass: 0, fail: 0, skip: 0, reasons: new Set() };
    row[how as "pass" | "fail" | "skip"] += 1;
    if (how === "skip") row.reasons.add(/\(([^()]*)\)$/.exec(title)?.[1] ?? "no reason given");
    rows.set(name, row);
  }
  if (rows.size === 0) return "";
  const head = ["contract", "adapter", "kept", "broken", "not asked"];
  const cells = [...rows.values()]
    .sort((a, b) => (`${a.port} ${a.adapter}` < `${b.port} ${b.adapter}` ? -1 : 1))
    .map(({ port, adapter, pass, fail, skip, reasons }) => {
      const notAsked = skip > 0 ? `${skip}: ${[...reasons].join("; ")}` : "0";
      return [port, adapter, String(pass), String(fail), notAsked];
    });
  const widths = head.map((name, at) => Math.max(...[head, ...cells].map((row) => (row[at] ?? name).length)));
  const line = (row: string[]) =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join("  ")
      .trimEnd();
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...cells.map(line)].join("\n");
}
