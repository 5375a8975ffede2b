// A Redis that can be killed and comes back on the same port, empty.
import { join } from "node:path";
import { freePort } from "../../scripts/copy/ports.ts";
import { find } from "../../scripts/servers/find.ts";
import { kill, launch } from "../../scripts/servers/processes.ts";

export type RedisServer = NonNullable<Awaited<ReturnType<typeof startRedis>>>;

/** undefined where none is installed. */
export async function startRedis(folder: string) {
  const program = find("redis-server");
  if (!program) return;
  const port = await freePort();
  const argv = [program, "--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
  const start = () => launch({ argv }, folder, join(folder, "redis.log"));
  let running = start();
  return {
    url: `redis://127.0.0.1:${port}`,
    kill: () => kill(running),
    start() {
      running = start();
    },
  };
}
