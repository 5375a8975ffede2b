// bun run nemesis: the full form; the short one is in bun run test:cluster.
import { parseArgs } from "node:util";
import { BASE_PORT } from "../../scripts/servers/ports.ts";
import { runNemesis } from "./nemesis.ts";

const USAGE = `bun run nemesis --minutes N [--seed S] [--size 1|3] [--replicas N] [--embedded] [--old COMMIT]

  --minutes N   of faults; then everything is healed, and the books are looked at
  --seed S      the faults and the orders of the run that printed it, again; how the processes get on with it is their own
  --size 1|3    nodes of each server; 3 where nothing is said
  --replicas N  of every service and of the edge; 2 where nothing is said
  --embedded    PostgreSQL only, and nothing must be installed
  --old COMMIT  the second replicas are of that commit
`;

const { values } = parseArgs({
  options: {
    help: { type: "boolean", default: false },
    minutes: { type: "string", default: "5" },
    seed: { type: "string" },
    size: { type: "string", default: "3" },
    replicas: { type: "string", default: "2" },
    embedded: { type: "boolean", default: false },
    old: { type: "string" },
  },
});
const minutes = Number(values.minutes);
const seed = Number(values.seed ?? crypto.getRandomValues(new Uint32Array(1))[0]);
const replicas = Number(values.replicas);
if (values.help) {
  process.stdout.write(USAGE);
  process.exit(0);
}
if (!(minutes > 0) || !(replicas >= 1) || !Number.isInteger(seed) || (values.size !== "1" && values.size !== "3")) {
  process.stderr.write(USAGE);
  process.exit(2);
}
const endsAt = Date.now() + minutes * 60_000;
const { findings } = await runNemesis({
  seed,
  size: values.size === "1" ? 1 : 3,
  replicas,
  servers: !values.embedded,
  old: values.old,
  until: () => Date.now() >= endsAt,
  basePort: BASE_PORT + 300,
});
process.exit(findings.every(({ found }) => found.length === 0) ? 0 : 1);
