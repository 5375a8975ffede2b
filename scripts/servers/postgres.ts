// PostgreSQL 18 from the programs Bodega brings: one, or a primary and two streaming replicas of which any one must have a
// commit before it is told. The replicas begin as copies of the primary made before its first start.
import { appendFileSync, existsSync, mkdirSync, readFileSync, realpathSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { SQL } from "bun";
import {
  type Cluster,
  describeCluster,
  ENVIRONMENT,
  initialise,
  PASSWORD_FILE,
} from "../../packages/database/embedded-cluster.ts";
import { must } from "../command.ts";
import { ask } from "./ask.ts";
import { portsOf } from "./ports.ts";
import { folderOf, type Kind, kept, nameOf, type Server } from "./server.ts";
import { until } from "./until.ts";

const WAIT_FOR_AUTHENTICATION = "R";

export const postgres: Kind = {
  count: (size) => size,
  ports: ({ number, basePort }) => portsOf("postgres", number, basePort),
  needs: [],
  async prepare(server) {
    if (existsSync(clusterIn(server).directory)) return;
    if (server.number === 1) await makePrimary(server);
    else await copyPrimary(server);
  },
  command(server) {
    const { prefix, programs, directory, settings } = clusterIn(server);
    const options = ["-D", directory, "-p", String(portOf(server)), ...settings.flatMap((setting) => ["-c", setting])];
    return { argv: [...prefix, join(programs, "postgres"), ...options], env: ENVIRONMENT };
  },
  ready: async (server) => {
    const answer = await ask(portOf(server), startupMessage(), ({ length }) => length > 0);
    return answer?.toString("latin1", 0, 1) === WAIT_FOR_AUTHENTICATION;
  },
  form: awaitReplicas,
  stopSignal: "SIGINT", // SIGTERM waits for clients to leave
  startAgainOn: /pre-existing shared memory block|lock file .* already exists/,
  env([primary, ...replicas]) {
    if (!primary) return {};
    const urls = replicas.map(urlOf);
    return { DATABASE_URL: urlOf(primary), ...(urls.length > 0 ? { DATABASE_REPLICA_URLS: urls.join(",") } : {}) };
  },
};

async function makePrimary(server: Server): Promise<void> {
  const cluster = clusterIn(server);
  await initialise(cluster);
  // Replicas copy and follow the primary, as its superuser.
  if (server.count > 1)
    appendFileSync(join(cluster.directory, "pg_hba.conf"), "host replication postgres 127.0.0.1/32 scram-sha-256\n");
  if (server.count > 1) set(cluster, `synchronous_standby_names = 'ANY 1 (postgres_2, postgres_3)'`);
}

async function copyPrimary(server: Server): Promise<void> {
  const primary = { ...server, number: 1 };
  if (kept(server.root, nameOf(primary))) {
    throw new Error(
      `${nameOf(server)} has no data, and begins only together with ${nameOf(primary)}: "bun run servers down --clean"`,
    );
  }
  const cluster = clusterIn(server);
  const work = `${cluster.directory}.incomplete`;
  rmSync(work, { recursive: true, force: true });
  await must(["cp", "-a", clusterIn(primary).directory, work]);
  renameSync(work, cluster.directory);
  set(cluster, replicaSettings(server, passwordOf(primary)));
  await must(["cp", "-a", join(cluster.directory, "PG_VERSION"), join(cluster.directory, "standby.signal")]);
}

export function replicaSettings(server: Server, password: string): string {
  const name = `postgres_${server.number}`;
  const primary = portOf({ ...server, number: 1 });
  return [
    `primary_conninfo = 'host=127.0.0.1 port=${primary} user=postgres password=${password} application_name=${name}'`,
    `primary_slot_name = '${name}'`,
    "synchronous_standby_names = ''",
    "wal_retrieve_retry_interval = '500ms'",
  ].join("\n");
}

/** A slot keeps what its replica has not read yet; a replica without one is refused and comes again. */
async function awaitReplicas(servers: Server[]): Promise<void> {
  const [primary, ...replicas] = servers;
  if (!primary || replicas.length === 0) return;
  const sql = new SQL(urlOf(primary), { max: 1 });
  try {
    const [standing] = await sql`select pg_is_in_recovery() as in_recovery`;
    if (standing.in_recovery) return; // another one leads since; who follows whom is its operator's business
    for (const { number } of replicas) {
      const name = `postgres_${number}`;
      await sql`select pg_create_physical_replication_slot(${name}, true)
        where not exists (select from pg_replication_slots where slot_name = ${name})`;
    }
    await until("the replicas stream", async () => {
      const [{ streaming }] = await sql`select count(*)::int as streaming from pg_stat_replication
        where state = 'streaming' and sync_state = 'quorum'`;
      return streaming === replicas.length;
    });
  } finally {
    await sql.close();
  }
}

/** What pg_isready sends: protocol 3.0, a user and a database. */
function startupMessage(): Buffer {
  const names = Buffer.from("user\0postgres\0database\0postgres\0\0");
  const head = Buffer.alloc(8);
  head.writeInt32BE(8 + names.length, 0);
  head.writeInt32BE(196_608, 4);
  return Buffer.concat([head, names]);
}

function clusterIn(server: Server): Cluster {
  const folder = folderOf(server);
  mkdirSync(folder, { recursive: true });
  return describeCluster(realpathSync(folder), true);
}

function set({ directory }: Cluster, settings: string): void {
  appendFileSync(join(directory, "postgresql.auto.conf"), `${settings}\n`);
}

function passwordOf(server: Server): string {
  return readFileSync(join(clusterIn({ ...server, number: 1 }).folder, PASSWORD_FILE), "utf8").trim();
}

function urlOf(server: Server): string {
  return `postgres://postgres:${passwordOf(server)}@127.0.0.1:${portOf(server)}/postgres`;
}

function portOf({ number, basePort }: Server): number {
  return portsOf("postgres", number, basePort).sql;
}
