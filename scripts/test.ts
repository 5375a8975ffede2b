// bun run test [filters]: all tests, or those the filters name. Few files run in one process, before one's eyes; many in several processes side by
// side, for most tests wait more than they work. What begins with "-" goes to bun test, and then it is one process too.
import { availableParallelism } from "node:os";
import { startTestPostgres } from "../tests/kit/postgres.ts";
import { SEED } from "../tests/kit/seed.ts";
import { type Counts, ENV, summary } from "./command.ts";
import { askAgain } from "./test/again.ts";
import { contractsIn } from "./test/contracts.ts";
import { countsOf, failuresIn, skippedIn, sumOf, withoutColours } from "./test/counts.ts";
import { apart, chosen, deal } from "./test/deal.ts";
import { type Batch, runLanes, TIMEOUT } from "./test/lanes.ts";
import { paths, ROOT } from "./tree.ts";

const FILES_BEFORE_ONES_EYES = 8;
const LANES = Math.min(4, availableParallelism() + 1);
const LONGEST_SHOWN = 6;

if (import.meta.main) {
  const words = process.argv.slice(2);
  const files = chosen(testFiles(), words);
  const few = files.length <= FILES_BEFORE_ONES_EYES || words.some((word) => word.startsWith("-"));
  const counts = few ? await runTests(words) : await runSideBySide(files);
  process.exitCode = counts.failed > 0 || counts.passed === 0 ? 1 : 0;
}

function testFiles(): string[] {
  return paths().filter((path) => /\.test\.tsx?$/.test(path));
}

/** bun test, live, and one last line that says how it went, whatever happened before it. */
export async function runTests(args: string[], env: Record<string, string> = {}): Promise<Counts> {
  const child = Bun.spawn([process.execPath, "test", TIMEOUT, ...args], {
    cwd: ROOT,
    env: { ...ENV, ...(process.stdout.isTTY && { FORCE_COLOR: "1" }), ...env },
    stdin: "ignore",
    stdout: "inherit",
    stderr: "pipe",
  });
  const said = await passOn(child.stderr);
  const code = await child.exited;
  const counts = countsOf(said, code);
  if (counts.passed + counts.failed === 0) console.log("Expected tests to run, found none.");
  const contracts = contractsIn(withoutColours(said));
  if (contracts) console.log(`\n${contracts}`);
  console.log(`\n${summary(counts)}`);
  return counts;
}

/** bun test reports on stderr; it goes to stdout here, in order with what the tests print, and is kept for counting. */
async function passOn(stream: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let said = "";
  for await (const chunk of stream) {
    process.stdout.write(chunk);
    said += decoder.decode(chunk, { stream: true });
  }
  return said;
}

/** Each batch is printed whole when it ends; at the end come all failures once more, what was skipped and why, and the sum. */
async function runSideBySide(files: string[]): Promise<Counts> {
  const { alone, others } = apart(files);
  console.log(
    `${others.length} files in ${LANES} processes side by side, and ${alone.length} alone, each told when it ends; CHAOS_SEED=${SEED}`,
  );
  const lanes = (count: number) => ({
    count,
    cwd: ROOT,
    open: async () => ({ TEST_DATABASE_URL: await startTestPostgres(), CHAOS_SEED: String(SEED) }),
    tell: ({ body }: Batch) => console.log(`\n${body}`),
  });
  const first = [...(await runLanes(deal(others), lanes(LANES))), ...(await runLanes(deal(alone), lanes(1)))];
  const { done, unsteady } = await askAgain(first, (batches) => runLanes(batches, lanes(1)));
  const body = done.map((batch) => batch.body).join("\n");
  const counts = sumOf(done.map((batch) => batch.counts));
  const sections = [
    told("what failed at first, and held when it was asked again alone", unsteady),
    told("what failed", done),
    skippedIn(body).join("\n"),
    contractsIn(withoutColours(body)),
    `longest: ${longest(done)}`,
    summary(counts),
  ];
  for (const section of sections) if (section) console.log(`\n${section}`);
  return counts;
}

/** All failures of these, under a title; nothing without any. */
function told(title: string, batches: Batch[]): string {
  const failed = batches.filter(({ counts }) => counts.failed > 0);
  if (failed.length === 0) return "";
  const failures = failed.flatMap(({ files, body }) => {
    const found = failuresIn(body);
    return found.length > 0 ? found : [`${files.join(", ")} failed without a failed test, see above`];
  });
  return [`== ${title}`, ...failures].join("\n\n");
}

function longest(done: Batch[]): string {
  return done
    .toSorted((a, b) => b.seconds - a.seconds)
    .slice(0, LONGEST_SHOWN)
    .map(({ files, seconds }) => `${seconds.toFixed(0)} s ${files.length > 1 ? `${files[0]} and others` : files[0]}`)
    .join(", ");
}
