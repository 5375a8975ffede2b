import { counted, type Inspection, sized, type Trouble } from "../telemetry/inspection.ts";

interface Node {
  version: string;
  role: string;
  /** Of a replica: whether it follows its primary. */
  link: string | null;
  usedBytes: number;
  /** 0 is no limit. */
  maxBytes: number;
  evicts: string;
}

const FULL = 0.9;
const LIMIT_FIX =
  "raise maxmemory, or see what else is kept in this Redis: bodega's keys all end by themselves; redis-cli --bigkeys";

/** From what each node answers to INFO, undefined where it gave no answer, and, of a Cluster, one of them to CLUSTER INFO. */
export function inspectRedis(infos: (string | undefined)[], clusterInfo?: string): Inspection {
  const nodes = infos.flatMap((info) => (info === undefined ? [] : [nodeOf(info)]));
  const silent = infos.length - nodes.length;
  const primaries = nodes.filter(({ role }) => role === "master");
  const [first] = nodes;
  const used = primaries.reduce((sum, { usedBytes }) => sum + usedBytes, 0);
  const cluster = clusterInfo === undefined ? null : fieldsOf(clusterInfo);
  const kind = cluster ? "Redis Cluster" : "Redis";
  const counts = `${counted(primaries.length, "primary", "primaries")}, ${counted(nodes.length - primaries.length, "replica")}`;
  const evicts = [...new Set(nodes.map((each) => each.evicts))].join(", ");
  return {
    found: `${kind} ${first?.version ?? ""}, ${counts}, ${sized(used)} used, evicts: ${evicts}`,
    figures: { adapter: "redis", nodes, silent, cluster },
    troubles: [...(cluster ? clusterTroubles(cluster, silent) : aloneTroubles(nodes)), ...nodes.flatMap(nodeTroubles)],
  };
}

function nodeOf(info: string): Node {
  const fields = fieldsOf(info);
  return {
    version: fields["redis_version"] ?? "of unknown version",
    role: fields["role"] ?? "unknown",
    link: fields["master_link_status"] ?? null,
    usedBytes: Number(fields["used_memory"] ?? 0),
    maxBytes: Number(fields["maxmemory"] ?? 0),
    evicts: fields["maxmemory_policy"] ?? "unknown",
  };
}

/** Lines of name:value, among headings. */
function fieldsOf(text: string): Record<string, string> {
  return Object.fromEntries(Array.from(text.matchAll(/^([a-z_\d]+):(.*?)\r?$/gm), ([, name, value]) => [name, value]));
}

function clusterTroubles(cluster: Record<string, string>, silent: number): Trouble[] {
  const fix = "start the nodes that are away; redis-cli --cluster check names them";
  if (cluster["cluster_state"] !== "ok")
    return [
      {
        says: `the Cluster is ${cluster["cluster_state"]}: ${cluster["cluster_slots_ok"] ?? 0} of 16384 slots are served`,
        fix: `${fix}. Until then limits are counted in each process alone`,
      },
    ];
  return silent > 0 ? [{ says: `${counted(silent, "node")} of the Cluster without an answer`, fix }] : [];
}

function aloneTroubles(nodes: Node[]): Trouble[] {
  if (nodes.some(({ role }) => role === "master")) return [];
  return [{ says: "this Redis is a replica and takes no locks", fix: "name the primary in REDIS_URL" }];
}

function nodeTroubles({ role, link, usedBytes, maxBytes }: Node): Trouble[] {
  if (role === "slave" && link !== "up")
    return [
      {
        says: "a replica does not follow its primary: a failover would lose locks and counts",
        fix: "its log says why; redis-cli info replication",
      },
    ];
  if (maxBytes > 0 && usedBytes > FULL * maxBytes)
    return [{ says: `${sized(usedBytes)} of ${sized(maxBytes)} are used`, fix: LIMIT_FIX }];
  return [];
}
