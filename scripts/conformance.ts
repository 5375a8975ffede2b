// bun run test:conformance: the Connect project's own suite through the product's gateway and into an ordinary service, over HTTP/1.1 and over h2c.
// The service and how it differs from one of ours: scripts/conformance/edge.ts.
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type Counts, cacheFolder, run, summary } from "./command.ts";

// 1.0.7 asks for a release of its own Go library that the module proxy does not have.
const VERSION = "1.0.5";
const MODULE = `connectrpc.com/conformance/cmd/connectconformance@v${VERSION}`;
const RUN_SECONDS_MAX = 300;

type Run = { name: string; conf: string; skip: { pattern: string; because: string }[] };

const RUNS: Run[] = [
  { name: "HTTP/1.1: Connect, gRPC-Web", conf: "scripts/conformance/h1.yaml", skip: [] },
  { name: "h2c: Connect, gRPC-Web, gRPC", conf: "scripts/conformance/h2.yaml", skip: [] },
];

if (import.meta.main) {
  const suite = await build();
  if (suite === undefined) {
    console.log(`skipped: there is no Go here to build the suite with (expected go on PATH, or ${binaryPath()})`);
    console.log(summary({ passed: 0, failed: 0, skipped: RUNS.length }));
  } else {
    const all = await Promise.all(RUNS.map((one) => conform(suite, one)));
    const sum = (word: keyof Counts) => all.reduce((total, counts) => total + counts[word], 0);
    const total = { passed: sum("passed"), failed: sum("failed"), skipped: sum("skipped") };
    console.log(summary(total));
    process.exitCode = total.failed > 0 ? 1 : 0;
  }
}

/** Built once, kept by version. Without Go there is none, and that is no failure of ours. */
async function build(): Promise<string | undefined> {
  const binary = binaryPath();
  if (existsSync(binary)) return binary;
  if (Bun.which("go") === null) return undefined;
  await mkdir(join(binary, ".."), { recursive: true });
  console.log(`building connectconformance ${VERSION} into ${join(binary, "..")}, about a minute`);
  const { code, output } = await run(["go", "install", MODULE], { cwd: "/", env: { GOBIN: join(binary, "..") } });
  if (code !== 0) throw new Error(`go install ${MODULE} ended with ${code}:\n${output}`);
  return binary;
}

function binaryPath(): string {
  return join(cacheFolder(), `connectconformance-${VERSION}`, "connectconformance");
}

async function conform(suite: string, { name, conf, skip }: Run): Promise<Counts> {
  for (const { pattern, because } of skip) console.log(`${name}: leaves out ${pattern}: ${because}`);
  const skips = skip.flatMap(({ pattern }) => ["--skip", pattern]);
  const command = [suite, "--mode", "server", "--conf", conf, "-p", "4", "--max-servers", "1", ...skips];
  // The limit is coreutils' own: it ends the servers that the suite started too. A Mac may be without it.
  const limit = Bun.which("timeout") === null ? [] : ["timeout", "-k", "5", String(RUN_SECONDS_MAX)];
  const { code, output } = await run([...limit, ...command, "--", "bun", "scripts/conformance/server.ts"]);
  const counts = countsOf(output, code);
  if (counts.failed > 0) console.log(output.trimEnd());
  console.log(`${name}: ${summary(counts)}`);
  return { ...counts, skipped: counts.skipped + skip.length };
}

/** The suite's own last line. A run that ended without it, or with an exit code it does not explain, is a failure. */
export function countsOf(output: string, code: number): Counts {
  const end = /^(\d+) passed, (\d+) failed/m.exec(output);
  const passed = Number(end?.[1] ?? 0);
  const failed = Number(end?.[2] ?? 0);
  const explained = end !== null && passed > 0 && (code === 0 || failed > 0);
  return { passed, failed: explained ? failed : failed + 1, skipped: 0 };
}
