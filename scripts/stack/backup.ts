// The backup of a stack: one moment of its PostgreSQL. What was on its way through Kafka and RabbitMQ at that moment is told again from there.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { must } from "../command.ts";
import { ROOT } from "../tree.ts";
import { labelOf } from "./engine.ts";
import { PATRONI } from "./environment.ts";
import { containerOf } from "./members.ts";
import type { Environment } from "./stack-file.ts";

const SCRIPT = "/etc/bodega/archive.sh";
/** Its volume is made of the backup; the other members copy it. */
export const RESTORED = "patroni-1";

/** Takes a base copy, and says what it is called. */
export async function takeBase(stack: string, env: Environment): Promise<string> {
  const archive = await containerOf("archive", stack, env);
  if (!archive)
    throw new Error(`no archive of ${stack} runs on this node: deploy the overlay backup, on the node with slot1`);
  const said = await must(["docker", "exec", archive, "bash", SCRIPT, "base"], { env });
  return said.trim().split("\n").at(-1) ?? "";
}

/** Makes the first member's volume as the database was at `at`, or at the end of the log. Nothing of the stack may be there. */
export async function restoreVolume(stack: string, env: Environment, at: string | undefined): Promise<string> {
  if ((await volumesOf(stack, env)).length > 0)
    throw new Error(
      `${stack} has volumes: a restored database begins with brokers that know nothing (bun run stack down --volumes)`,
    );
  const volume = `${stack}_${RESTORED}`;
  const image = env["PATRONI_IMAGE"] || PATRONI;
  await must(["docker", "volume", "create", "--label", labelOf(stack), volume], { env });
  try {
    return await must(
      [
        ...["docker", "run", "--rm", "--network", "none", "--user", "postgres", "--entrypoint", "bash"],
        ...["--volume", `${volume}:/var/lib/postgresql/data`, "--volume", `${env["BACKUPS"]}:/backup:ro`],
        ...["--volume", `${join(ROOT, "deploy", "patroni", "archive.sh")}:${SCRIPT}:ro`],
        ...[image, SCRIPT, "restore", ...(at ? [at] : [])],
      ],
      { env },
    );
  } catch (error) {
    await must(["docker", "volume", "rm", volume], { env });
    throw error;
  }
}

/** What a stack keeps on this node, whether or not it runs. */
export async function volumesOf(stack: string, env: Environment): Promise<string[]> {
  const kept = await must(["docker", "volume", "ls", "-q", "--filter", `label=${labelOf(stack)}`], { env });
  return kept.split("\n").filter(Boolean);
}

/** As PostgreSQL and the names of base copies have it. */
export function momentOf(at: string): string {
  if (!/\d(Z|[+-]\d\d:?\d\d)$/.test(at) || Number.isNaN(Date.parse(at)))
    throw new Error(`--at must be like 2026-01-31T08:00:00Z, found ${at}`);
  return new Date(at).toISOString();
}

/** Roles have the passwords that follow from them, and tokens and the event log are signed with them. */
export function mustHaveSecrets(folder: string): void {
  if (!existsSync(join(folder, "pg_super")))
    throw new Error(`expected the secrets of the stack that was backed up in ${folder} (SECRETS), found none`);
}
