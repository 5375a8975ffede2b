// bun run mutants: plants one bug after the other in a copy of the tree, and runs the tests that must notice it.
import { parseArgs } from "node:util";
import { startTestPostgres } from "../tests/kit/postgres.ts";
import { run, summary } from "./command.ts";
import { AUTH } from "./mutants/auth.ts";
import { DATABASE } from "./mutants/database.ts";
import { ENGINE } from "./mutants/engine.ts";
import type { Mutant } from "./mutants/mutant.ts";
import { copyTree, verdictOn } from "./mutants/plant.ts";
import { SERVICES } from "./mutants/services.ts";
import { TELEMETRY } from "./mutants/telemetry.ts";

export const MUTANTS: Mutant[] = [...AUTH, ...DATABASE, ...ENGINE, ...SERVICES, ...TELEMETRY];

const USAGE = `bun run mutants [names …] [--seconds N]

  names        only these; without any, all of:
${MUTANTS.map(({ name }) => `                 ${name}`).join("\n")}
  --seconds N  begins none after that time, and takes them in an order of the commit's own, so that each commit tries others
`;

if (import.meta.main) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { seconds: { type: "string" }, help: { type: "boolean", default: false } },
  });
  const unknown = positionals.filter((name) => !MUTANTS.some((mutant) => mutant.name === name));
  if (values.help || unknown.length > 0 || !(Number(values.seconds ?? 1) > 0)) {
    process.stderr.write(unknown.length > 0 ? `no mutant is called ${unknown.join(" or ")}\n\n${USAGE}` : USAGE);
    process.exit(values.help ? 0 : 2);
  }
  const chosen = MUTANTS.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
  process.exitCode = await tryAll(
    values.seconds ? shuffled(chosen, (await run(["git", "rev-parse", "HEAD"])).output) : chosen,
    Number(values.seconds ?? Number.POSITIVE_INFINITY) * 1_000,
  );
}

async function tryAll(mutants: Mutant[], ms: number): Promise<number> {
  const { folder, remove } = copyTree();
  const began = performance.now();
  const counts = { passed: 0, failed: 0, skipped: 0 };
  try {
    const env = { TEST_DATABASE_URL: await startTestPostgres() };
    for (const mutant of mutants) {
      if (performance.now() - began > ms) break;
      const since = performance.now();
      const { word, because } = await verdictOn(mutant, folder, env);
      counts[word === "caught" ? "passed" : "failed"] += 1;
      const seconds = `${((performance.now() - since) / 1_000).toFixed(0)} s`;
      console.log(`${word.padEnd(9)}${seconds.padStart(5)}  ${mutant.name}\n                by: ${because}`);
    }
  } finally {
    remove();
  }
  console.log(
    `\n${counts.passed} caught, ${counts.failed} survived or broken, of ${mutants.length}\n\n${summary(counts)}`,
  );
  return counts.failed > 0 || counts.passed === 0 ? 1 : 0;
}

/** In an order that a commit fixes, and another one changes. */
function shuffled(mutants: Mutant[], commit: string): Mutant[] {
  const place = ({ name }: Mutant) => Bun.hash(commit.trim() + name);
  return mutants.toSorted((a, b) => (place(a) < place(b) ? -1 : 1));
}
