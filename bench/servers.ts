import { BASE_PORT, type KindName } from "../scripts/servers/ports.ts";
import { startServers } from "../scripts/servers/start-servers.ts";

const BENCH_PORTS = BASE_PORT + 900;

/** One node of each kind, and the variables that point Bodega at them. */
export async function startBenchServers(
  kinds: KindName[],
): Promise<{ env: Record<string, string>; close(): Promise<void> }> {
  const servers = await startServers(kinds, { basePort: BENCH_PORTS });
  return { env: servers.env, close: servers.down };
}
