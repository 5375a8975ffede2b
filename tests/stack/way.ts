// From this machine to servers of the stack that no port of a node leads to: for the test alone.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { must, run } from "../../scripts/command.ts";
import { freePorts } from "../../scripts/copy/ports.ts";
import { until } from "../../scripts/servers/until.ts";
import type { Daemon } from "./daemon.ts";
import { STACK } from "./swarm.ts";

const NAME = "way";
const TARGET = "/usr/local/etc/haproxy/haproxy.cfg";

export interface Way {
  /** Where a server is found here. */
  at(server: string): string;
  close(): Promise<void>;
}

/** To servers such as "pg:5432" on these networks of the stack, and on the one that is not internal: there, ports can be published. */
export async function openWay({ docker, env }: Daemon, networks: string[], servers: string[]): Promise<Way> {
  const ports = await freePorts(servers);
  const folder = mkdtempSync(join(tmpdir(), "bodega-way-"));
  try {
    const path = join(folder, "way.cfg");
    writeFileSync(path, readFileSync(join(import.meta.dir, "way.cfg"), "utf8") + listens(ports));
    await docker("config", "create", NAME, path);
  } finally {
    rmSync(folder, { recursive: true });
  }
  await docker(
    ...["service", "create", "-q", "--detach", "--name", NAME, "--no-resolve-image", "--endpoint-mode", "dnsrr"],
    ...["--constraint", "node.role==manager"],
    ...["services", ...networks].flatMap((network) => ["--network", `${STACK}_${network}`]),
    ...Object.values(ports).flatMap((port) => ["--publish", `mode=host,target=${port},published=${port}`]),
    ...["--config", `source=${NAME},target=${TARGET}`, "haproxy:3.2", "haproxy", "-db", "-f", TARGET],
  );
  await until("there is a way into the stack", async () => {
    const { output } = await run(["docker", "service", "ls", "--filter", `name=${NAME}`], { env });
    return output.includes("1/1");
  });
  return {
    at: (server) => `127.0.0.1:${ports[server]}`,
    async close() {
      await must(["docker", "service", "rm", NAME], { env });
      await until("the way is closed", async () => {
        const { output } = await run(["docker", "ps", "-aq", "--filter", `name=^${NAME}\\.`], { env });
        return output === "";
      });
      await must(["docker", "config", "rm", NAME], { env });
    },
  };
}

function listens(ports: Record<string, string>): string {
  return Object.entries(ports)
    .map(
      ([server, port]) => `listen ${server}\n  bind :${port}\n  server one ${server} resolvers docker init-addr none\n`,
    )
    .join("");
}
