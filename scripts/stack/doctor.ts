// What keeps a deployment from becoming ready, each with the command that mends it.
import type { Engine, Node } from "./engine.ts";
import type { Environment } from "./stack-file.ts";

/** A member -1 of every cluster is on a node with slot1, and so on; a node may have several. */
const SLOTS = ["slot1", "slot2", "slot3"];
const GIB = 2 ** 30;
const MEMORY_MIN = 4 * GIB;

interface Info {
  Swarm: { NodeID: string; LocalNodeState: string; ControlAvailable: boolean };
}

export async function complaints(engine: Engine, env: Environment): Promise<string[]> {
  const { Swarm } = await engine.get<Info>("/info");
  if (Swarm.LocalNodeState !== "active") return ["this engine is in no swarm: docker swarm init"];
  if (!Swarm.ControlAvailable) return ["this node is a worker: run this on a manager"];
  const nodes = await engine.get<Node[]>("/nodes");
  return [...labels(nodes), ...several(nodes, Swarm.NodeID, env), ...resources(nodes), ...payments(env)];
}

export function labels(nodes: Node[]): string[] {
  const able = nodes.filter(({ Spec, Status }) => Spec.Availability === "active" && Status.State === "ready");
  return SLOTS.flatMap((slot, index) => {
    const holders = able.filter(({ Spec }) => Spec.Labels[slot] === "true");
    const node = able[index % Math.max(1, able.length)]?.Description.Hostname ?? "NODE";
    if (holders.length === 0)
      return [`no node has the label ${slot}: docker node update --label-add ${slot}=true ${node}`];
    const names = holders.map(({ Description }) => Description.Hostname).join(", ");
    return holders.length > 1 ? [`${names} all have the label ${slot}: its volumes are on one of them`] : [];
  });
}

/** What one node has by itself. `own` is the id of the one that is asked. */
export function several(nodes: Node[], own: string, { BODEGA_IMAGE, PATRONI_IMAGE }: Environment): string[] {
  if (nodes.length === 1) return [];
  const found: string[] = [];
  if (!BODEGA_IMAGE || !PATRONI_IMAGE)
    found.push(
      "images that are built here are on this node only: push them to a registry of yours, or load them on every node (docker save, docker load), and say their names in BODEGA_IMAGE and PATRONI_IMAGE",
    );
  const labels = nodes.find(({ ID }) => ID === own)?.Spec.Labels ?? {};
  if (!SLOTS.some((slot) => labels[slot] === "true"))
    found.push(
      "this node has no slot, so that no member of a cluster can be asked from here who leads: run this on a manager that has one",
    );
  return found;
}

function resources(nodes: Node[]): string[] {
  const memory = nodes.reduce((sum, { Description }) => sum + Description.Resources.MemoryBytes, 0);
  return memory < MEMORY_MIN
    ? [`the nodes have ${(memory / GIB).toFixed(1)} GiB together, and the smallest stack wants 4`]
    : [];
}

function payments({ PAYMENT_PROVIDER, STRIPE_SECRET_KEY_FILE }: Environment): string[] {
  if (PAYMENT_PROVIDER === "embedded" || STRIPE_SECRET_KEY_FILE) return [];
  return [
    "nobody takes the payments: set STRIPE_SECRET_KEY_FILE and STRIPE_WEBHOOK_SECRET_FILE and add the overlay stripe, or say PAYMENT_PROVIDER=embedded, where customers mark their own orders paid",
  ];
}
