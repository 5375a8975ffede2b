// bun run nemesis --minutes N [--seed S] [--size 1|3]: the full form; the short one is in bun run test:cluster.
import { parseArgs } from "node:util";
import { BASE_PORT } from "../../scripts/servers/ports.ts";
import { runNemesis } from "./nemesis.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "5" },
    seed: { type: "string" },
    size: { type: "string", default: "3" },
  },
});
const minutes = Number(values.minutes);
const seed = Number(values.seed ?? crypto.getRandomValues(new Uint32Array(1))[0]);
if (!(minutes > 0) || !Number.isInteger(seed) || (values.size !== "1" && values.size !== "3")) {
  process.stderr.write("bun run nemesis --minutes N [--seed S] [--size 1|3]\n");
  process.exit(2);
}
const endsAt = Date.now() + minutes * 60_000;
const { findings } = await runNemesis({
  seed,
  size: values.size === "1" ? 1 : 3,
  until: () => Date.now() >= endsAt,
  basePort: BASE_PORT + 300,
});
process.exit(findings.every(({ found }) => found.length === 0) ? 0 : 1);
