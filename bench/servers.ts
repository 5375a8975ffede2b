import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { KindName } from "../scripts/servers/ports.ts";
import { BASE_PORT } from "../scripts/servers/ports.ts";
import { startServers } from "../scripts/servers/start-servers.ts";

const BENCH_PORTS = BASE_PORT + 900;

/** One node of each kind, and the variables that point Bodega at them. */
export async function startBenchServers(
  kinds: KindName[],
): Promise<{ env: Record<string, string>; close(): Promise<void> }> {
  const dataDir = mkdtempSync(join(tmpdir(), "bodega-bench-servers-"));
  const servers = await startServers(kinds, { size: 1, dataDir, basePort: BENCH_PORTS });
  return {
    env: servers.env,
    async close() {
      await servers.down();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}
