// What a deployment is told by its environment, so that stack.yml itself stays as it is.
import { join, resolve } from "node:path";
import { must } from "../command.ts";
import { ROOT } from "../tree.ts";
import type { Node } from "./engine.ts";
import { makeSecrets } from "./secrets.ts";
import { type Environment, readStackFile } from "./stack-file.ts";

/** The image of PostgreSQL's members, where no other is named. */
export const PATRONI = "bodega-patroni:17";
/** Fewer cannot hold two replicas apart and start a third beside them. */
const NODES_APART = 3;

/** Makes what is missing, and returns what `docker stack deploy` is to be told. What the caller has set goes before. */
export async function stackEnvironment(overlays: string[], nodes: Node[], given: Environment): Promise<Environment> {
  const secrets = secretsFolder(given);
  const publicUrl = given["PUBLIC_URL"] || "https://localhost";
  await makeSecrets(secrets, new URL(publicUrl).hostname);
  const env: Environment = {
    STACK: "bodega",
    PUBLIC_URL: publicUrl,
    BACKUPS: "/var/backups/bodega",
    ...(overlays.includes("small") && { ETCD: "etcd-1:2379", BROKERS: "kafka-1:9092" }),
    ...(overlays.includes("observe") && { OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318" }),
    MAX_PER_NODE: nodes.length < NODES_APART ? "0" : "1",
    ...given,
    SECRETS: secrets,
  };
  return { ...env, ...readStackFile(overlays).hashes(env) };
}

export function secretsFolder(given: Environment): string {
  return resolve(given["SECRETS"] || join(ROOT, given["DATA_DIR"] || ".data", "stack", "secrets"));
}

/** Builds both images; the product's is named after what is in it, because Swarm updates nothing whose name is the same. */
export async function buildImages(say: (line: string) => void, env: Environment): Promise<Environment> {
  const docker = (...args: string[]) => must(["docker", ...args], { env });
  if (!env["PATRONI_IMAGE"]) {
    say(`building ${PATRONI}`);
    await docker("build", "-q", "-t", PATRONI, join(ROOT, "deploy", "patroni"));
  }
  if (env["BODEGA_IMAGE"]) return {};
  say("building bodega:local");
  await docker("build", "-q", "-t", "bodega:local", ROOT);
  const id = await docker("image", "inspect", "--format", "{{.Id}}", "bodega:local");
  const image = `bodega:${id.trim().replace("sha256:", "").slice(0, 12)}`;
  await docker("tag", "bodega:local", image);
  return { BODEGA_IMAGE: image };
}
