// bun run test:cluster: everything that needs real servers, and stories of tests/ again on them. One line of counts for all.
import { type Counts, summary } from "./command.ts";
import { notInstalled } from "./servers/install.ts";
import type { KindName } from "./servers/ports.ts";
import { runTests } from "./test.ts";

interface Part {
  /** Its tests do not look for these themselves. */
  needs?: KindName[];
  env: Record<string, string>;
  files: string[];
}

const PARTS: Part[] = [
  {
    env: { CLUSTER: "1" },
    files: [
      "packages/events/kafka.test.ts",
      "packages/jobs/rabbitmq.test.ts",
      "packages/jobs/rabbitmq-kill.test.ts",
      "packages/jobs/rabbitmq-cluster.test.ts",
      "packages/locks/redis.test.ts",
      "scripts/servers/servers.test.ts",
      "packages/locks/redis-tls.test.ts",
      "tests/servers/tls.test.ts",
      "tests/chaos/tls-shop.test.ts",
      "tests/servers/k6.test.ts",
      "tests/servers/way-in.test.ts",
      "tests/servers/rabbitmq-system.test.ts",
      "tests/servers/debezium.test.ts",
      "tests/nemesis",
    ],
  },
  {
    needs: ["kafka", "rabbitmq", "redis"],
    env: { CLUSTER: "1", STORIES: "servers" },
    files: [
      "tests/stories/order-life.test.ts",
      "tests/stories/idempotency.test.ts",
      "tests/stories/points.test.ts",
      "tests/seeds",
    ],
  },
];

const total: Counts = { passed: 0, failed: 0, skipped: 0 };
for (const part of PARTS) {
  const counts = await runPart(part);
  for (const word of ["passed", "failed", "skipped"] as const) total[word] += counts[word];
}
console.log(`\n${summary(total)}`);
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0;

async function runPart({ needs = [], env, files }: Part): Promise<Counts> {
  const reason = notInstalled(needs);
  if (reason) {
    console.log(`skipped: ${files.join(", ")} on real servers: ${reason}`);
    return { passed: 0, failed: 0, skipped: files.length };
  }
  return runTests(files, env);
}
