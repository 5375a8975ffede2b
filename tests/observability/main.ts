// bun run test:observability [life] [frozen] [kafka] [faults]: a shop at work, seen through the real programs, a collector that stands still, a topic that keeps too much, and
// what people are told when something breaks.
// Only when it is named, incident: what docs/observability.md tells of, and its pictures.
import { summary } from "../../scripts/command.ts";
import { buildWhatCan } from "../../scripts/observe/build.ts";
import { PROMETHEUS } from "../../scripts/observe/programs.ts";
import { type Checks, createChecks, say } from "./check.ts";
import { makeFaults } from "./faults.ts";
import { freezeCollector } from "./frozen.ts";
import { playIncident } from "./incident.ts";
import { keepForEver } from "./kafka.ts";
import { lookAtLife } from "./life.ts";

/** For all programs together, the first time; what is not built by then is done without. In half of it one machine with two cores builds them all. */
const BUILD_SECONDS_MAX = 1_200;
const PARTS: Record<string, (checks: Checks) => Promise<void>> = {
  life: lookAtLife,
  frozen: freezeCollector,
  kafka: keepForEver,
  faults: makeFaults,
  incident: (checks) => playIncident(checks),
};
/** What is built for them; of those that are not named, all. */
const BUILT: Record<string, string[]> = { kafka: [], faults: ["alertmanager"] };
const USUALLY = ["life", "frozen", "kafka", "faults"];

if (import.meta.main) {
  const words = process.argv.slice(2);
  const unknown = words.filter((word) => !PARTS[word]);
  if (unknown.length > 0) throw new Error(`expected ${Object.keys(PARTS).join(" or ")}, found ${unknown}`);
  const wanted = words.length > 0 ? words : USUALLY;
  const only = wanted.every((word) => BUILT[word]) ? wanted.flatMap((word) => BUILT[word] ?? []) : undefined;
  const missing = await buildWhatCan(say, BUILD_SECONDS_MAX, only);
  const checks = createChecks(missing);
  if (!PROMETHEUS.found()) checks.skip("what Prometheus sees", "it is not installed: bun run observe install");
  else for (const [name, part] of Object.entries(PARTS)) if (wanted.includes(name)) await part(checks);
  const counts = checks.counts();
  say(summary(counts));
  process.exitCode = counts.failed > 0 ? 1 : 0;
}
