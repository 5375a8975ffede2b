import { missing, notInstalled } from "../../../scripts/servers/install.ts";
import type { KindName } from "../../../scripts/servers/ports.ts";

/** Why tests that need real servers of these kinds are skipped; undefined when they are not. */
export function absent(kinds: KindName[]): string | undefined {
  return process.env["CLUSTER"] ? notInstalled(kinds) : "bun run test:cluster runs it";
}

/** What needs no installation, such as jars, is fetched before the servers are started. */
export async function fetchMissing(kinds: KindName[]): Promise<void> {
  for (const need of missing(kinds)) await need.build?.();
}
