// bun run check: everything that can be said about the code without running it. Failures print what the tool said.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { staleObservability } from "../observability/generate.ts";
import { must, type Outcome, run, summary } from "./command.ts";
import { docsAreCurrent } from "./docs.ts";
import { GENERATED, generate } from "./generate.ts";
import { TIMEOUT } from "./test/lanes.ts";
import { ROOT } from "./tree.ts";

type Verdict = Outcome | { skipped: string };

const CHECKS: Record<string, (scratch: string) => Promise<Verdict>> = {
  "format and lint": () => run(["biome", "ci", "--colors=off", "."]),
  types: () => run(["tsc", "--noEmit", "-p", "."]),
  "proto lint": () => run(["buf", "lint"]),
  "proto format": () => run(["buf", "format", "-d", "--exit-code", "--path", "proto/bodega"]),
  "proto breaking": breaking,
  "generated code": generatedCode,
  "generated docs": () => docsAreCurrent(),
  "dashboards, rules": observability,
  "house rules": () => run(["bun", "test", TIMEOUT, "--only-failures", "./scripts/tidy/"]),
};

if (import.meta.main) {
  const scratch = await mkdtemp(join(tmpdir(), "bodega-check-"));
  try {
    const verdicts = await Promise.all(Object.keys(CHECKS).map((name) => report(name, scratch)));
    const count = (word: string) => verdicts.filter((verdict) => verdict === word).length;
    console.log(summary({ passed: count("ok"), failed: count("failed"), skipped: count("skipped") }));
    process.exitCode = count("failed") > 0 ? 1 : 0;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function report(name: string, scratch: string): Promise<"ok" | "failed" | "skipped"> {
  const started = performance.now();
  const verdict = await attempt(name, scratch);
  const seconds = `${((performance.now() - started) / 1000).toFixed(1)} s`;
  const word = "skipped" in verdict ? "skipped" : verdict.code === 0 ? "ok" : "failed";
  const said = "skipped" in verdict ? verdict.skipped : word === "failed" ? `\n${verdict.output.trimEnd()}\n` : "";
  console.log(`${word.padEnd(8)} ${name.padEnd(16)} ${seconds.padStart(6)} ${said}`.trimEnd());
  return word;
}

async function attempt(name: string, scratch: string): Promise<Verdict> {
  try {
    return await (CHECKS[name]?.(scratch) ?? { code: 1, output: "no such check" });
  } catch (error) {
    return { code: 1, output: error instanceof Error ? error.message : String(error) };
  }
}

/** Generates beside the tree and compares: a stale, edited or left-over file is a difference. */
async function generatedCode(scratch: string): Promise<Verdict> {
  const fresh = join(scratch, "generated");
  await generate(fresh);
  const differences = await Promise.all(
    GENERATED.map((folder) => run(["diff", "-rq", join(ROOT, folder), join(fresh, folder)])),
  );
  const output = differences.map((difference) => difference.output).join("");
  const code = differences.some((difference) => difference.code !== 0) ? 1 : 0;
  return { code, output: `${output}Expected what the protos say: bun run generate` };
}

/** What Grafana and Prometheus read is what the TypeScript says. */
async function observability(): Promise<Verdict> {
  const stale = await staleObservability();
  const output = `${stale.join("\n")}\nExpected what observability/*.ts says: bun run observe generate`;
  return { code: stale.length > 0 ? 1 : 0, output };
}

/** Against the last commit of main; on main itself, with nothing changed since, against the commit before it. */
async function breaking(scratch: string): Promise<Verdict> {
  const base = await baseline();
  if (base === undefined) return { skipped: "there is no earlier commit here to compare with" };
  const earlier = await run(["git", "ls-tree", "-r", "--name-only", base, "--", "proto/bodega"]);
  if (earlier.code !== 0 || earlier.output === "") return { skipped: `${base.slice(0, 12)} has no protos of ours` };
  const folder = join(scratch, "earlier");
  await must(["mkdir", "-p", folder]);
  await must(["sh", "-c", `git archive "$1" proto buf.yaml | tar -x -C "$2"`, "sh", base, folder]);
  return run(["buf", "breaking", "--against", folder]);
}

async function baseline(): Promise<string | undefined> {
  const main = (await commit("main")) ?? (await commit("origin/main")) ?? (await commit("HEAD"));
  const changed = await run(["git", "status", "--porcelain", "--", "proto/bodega"]);
  const isMain = main !== undefined && main === (await commit("HEAD"));
  return isMain && changed.output === "" ? commit("HEAD~1") : main;
}

async function commit(name: string): Promise<string | undefined> {
  const { code, output } = await run(["git", "rev-parse", "--verify", "--quiet", `${name}^{commit}`]);
  return code === 0 ? output.trim() : undefined;
}
