// bun run test:cluster: everything that needs real servers, and stories of tests/ again on them. One line of counts for all.
import { type Counts, ENV, summary } from "./command.ts";
import { notInstalled } from "./servers/install.ts";
import type { KindName } from "./servers/ports.ts";
import { ROOT } from "./tree.ts";

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
      "tests/rabbitmq-system.test.ts",
      "tests/debezium.test.ts",
      "tests/nemesis",
    ],
  },
  {
    needs: ["kafka", "rabbitmq", "redis"],
    env: { CLUSTER: "1", STORIES: "servers" },
    files: ["tests/order-life.test.ts", "tests/idempotency.test.ts", "tests/points.test.ts"],
  },
];

const total: Counts = { passed: 0, failed: 0, skipped: 0 };
for (const part of PARTS) {
  const counts = await runPart(part);
  for (const word of ["passed", "failed", "skipped"] as const) total[word] += counts[word];
}
console.log(`\n${summary(total)}`);
process.exitCode = total.failed > 0 ? 1 : 0;

async function runPart({ needs = [], env, files }: Part): Promise<Counts> {
  const reason = notInstalled(needs);
  if (reason) {
    console.log(`skipped: ${files.join(", ")} on real servers: ${reason}`);
    return { passed: 0, failed: 0, skipped: files.length };
  }
  const child = Bun.spawn([process.execPath, "scripts/test.ts", ...files], {
    cwd: ROOT,
    env: { ...ENV, ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  let said = "";
  const decoder = new TextDecoder();
  for await (const chunk of child.stdout) {
    process.stdout.write(chunk);
    said = `${said}${decoder.decode(chunk, { stream: true })}`.slice(-1_000);
  }
  const code = await child.exited;
  const [, passed = "0", failed = "0", skipped = "0"] =
    /(\d+) passed, (\d+) failed(?:, (\d+) skipped)?\s*$/.exec(said) ?? [];
  const counts = { passed: Number(passed), failed: Number(failed), skipped: Number(skipped) };
  return code !== 0 && counts.failed === 0 ? { ...counts, failed: 1 } : counts;
}
