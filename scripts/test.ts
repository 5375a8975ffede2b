// bun run test [filters]: all tests, or those the filters name.
import { type Counts, ENV, summary } from "./command.ts";
import { contractsIn } from "./contracts.ts";
import { ROOT } from "./tree.ts";

if (import.meta.main) {
  const counts = await runTests(process.argv.slice(2));
  process.exitCode = counts.failed > 0 || counts.passed === 0 ? 1 : 0;
}

/** bun test, live, and one last line that says how it went, whatever happened before it. */
export async function runTests(args: string[], env: Record<string, string> = {}): Promise<Counts> {
  const child = Bun.spawn(["bun", "test", ...args], {
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

/**
 * The totals of Bun's closing summary; a file that crashed at import is one failure in it. Without a summary the run died:
 * the lines printed until then count, and the death is a failure. An exit code that no failure explains is one too.
 */
export function countsOf(said: string, code: number): Counts {
  const plain = withoutColours(said);
  const end = /((?:^ +\d+ \w+.*\n)+)^Ran \d+ tests? across \d+ files?/m.exec(plain)?.[1];
  const total = (word: string) => Number(new RegExp(`^ +(\\d+) ${word}$`, "m").exec(end ?? "")?.[1] ?? 0);
  const lines = (word: string) => plain.match(new RegExp(`^\\(${word}\\) `, "gm"))?.length ?? 0;
  const counts =
    end === undefined
      ? { passed: lines("pass"), failed: lines("fail") + 1, skipped: lines("skip") + lines("todo") }
      : { passed: total("pass"), failed: total("fail"), skipped: total("skip") + total("todo") };
  return { ...counts, failed: code !== 0 ? Math.max(1, counts.failed) : counts.failed };
}

function withoutColours(said: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colour codes begin with one
  return said.replace(/\u001b\[[0-9;]*m/g, "");
}
