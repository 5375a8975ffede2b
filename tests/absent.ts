import { missing } from "../scripts/servers/install.ts";
import type { KindName } from "../scripts/servers/ports.ts";

/** Why tests that need real servers of these kinds are skipped; undefined when they are not. What can be built without an installation is no reason. */
export function absent(kinds: KindName[]): string | undefined {
  if (!process.env["CLUSTER"]) return "bun run test:cluster runs it";
  const needs = missing(kinds).filter(({ build }) => !build);
  if (needs.length === 0) return undefined;
  return needs.map(({ name, apt = [] }) => `${name} is not installed: apt-get install ${apt.join(" ")}`).join(", ");
}

/** What needs no installation, such as jars, is fetched before the servers are started. */
export async function fetchMissing(kinds: KindName[]): Promise<void> {
  for (const need of missing(kinds)) await need.build?.();
}
