// Test files in several processes side by side: each lane takes the next batch when it has ended one.
import { type Counts, ENV } from "../command.ts";
import { bodyOf, countsOf } from "./counts.ts";

/** What a test may take that names no time of its own. bunfig.toml cannot say it. */
export const TIMEOUT = "--timeout=60000";

export interface Batch {
  files: string[];
  counts: Counts;
  /** What its tests said, file by file. */
  body: string;
  seconds: number;
}

export interface Lanes {
  count: number;
  cwd: string;
  /** The variables of a lane, made when it begins. */
  open(): Promise<Record<string, string>>;
  /** Told of every batch at its end. */
  tell(batch: Batch): void;
}

export async function runLanes(batches: string[][], { count, cwd, open, tell }: Lanes): Promise<Batch[]> {
  const left = [...batches];
  const done: Batch[] = [];
  async function lane() {
    const env = await open();
    for (let files = left.shift(); files; files = left.shift()) {
      const batch = await runBatch(files, cwd, env);
      done.push(batch);
      tell(batch);
    }
  }
  await Promise.all(Array.from({ length: Math.min(count, batches.length) }, lane));
  return done;
}

async function runBatch(files: string[], cwd: string, env: Record<string, string>): Promise<Batch> {
  const began = performance.now();
  const paths = files.map((file) => `./${file}`);
  // One pipe for both, so that what a test prints stays beside its name.
  const child = Bun.spawn(["sh", "-c", 'exec "$0" test "$@" 2>&1', process.execPath, TIMEOUT, ...paths], {
    cwd,
    env: { ...ENV, ...(process.stdout.isTTY && { FORCE_COLOR: "1" }), ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [said, code] = await Promise.all([child.stdout.text(), child.exited]);
  const body = bodyOf(said);
  const died = /^Ran \d+ tests? across/m.test(said)
    ? ""
    : `\n${files.join(", ")}: ended with ${child.signalCode ?? code}`;
  return { files, counts: countsOf(said, code), body: body + died, seconds: (performance.now() - began) / 1_000 };
}
