// Lets Debezium tell the facts of services: a role that may read their outboxes, and for each a connector made of outbox.json. May run any number of times:
// what is there as it is to be, is left alone, and a connector that has failed is started again.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Database, openDatabase } from "../packages/database/database.ts";
import { slotNameIn } from "../packages/database/slot.ts";
import { withSecretFiles } from "../packages/service/secret-files.ts";
import type { Environment } from "../packages/service/variables.ts";
import { SERVICE_NAMES } from "../services/all.ts";
import { databaseName } from "../services/keys.ts";

const ROLE = "debezium";
const SLOT = "bodega_debezium";
const ASKED_MS_MAX = 30_000;
const AGAIN_MS = 2_000;
/** So long services and Kafka Connect may take until they are there. */
const PATIENCE_MS = 300_000;

interface Config {
  /** Of a superuser. */
  databaseUrl: string;
  password: string;
  /** What Kafka Connect is told in place of the password. */
  told: string;
  connectUrl: string;
}

export async function letDebeziumTell(services: string[], env: Environment): Promise<void> {
  const config = configOf(withSecretFiles(env));
  const superuser = openDatabase(config.databaseUrl, "connectors");
  try {
    await eventually(() => allow(superuser, config, services));
    for (const service of services) await eventually(() => connectOne(superuser, config, service));
    for (const service of services) await eventually(() => mustRun(config, service));
  } finally {
    await superuser.close();
  }
}

function configOf(env: Environment): Config {
  const read = (name: string) => {
    const value = env[name];
    if (!value) throw new Error(`${name} is not set`);
    return value;
  };
  const password = read("DEBEZIUM_PASSWORD");
  const folder = env["CONNECT_FOLDER"];
  return {
    databaseUrl: read("DATABASE_URL"),
    password,
    told: folder ? `\${directory:${folder}:debezium_password}` : password,
    connectUrl: read("KAFKA_CONNECT_URL"),
  };
}

/** Whoever replicates could read the whole server; of the tables it may read the outboxes. */
async function allow({ sql }: Database, { databaseUrl, password }: Config, services: string[]): Promise<void> {
  const [known] = await sql`select from pg_roles where rolname = ${ROLE}`;
  const verb = known ? "alter" : "create";
  const [made] = await sql<{ statement: string }[]>`
    select format('%s role %I login replication password %L', ${verb}::text, ${ROLE}::text, ${password}::text) as statement`;
  await sql.unsafe(made?.statement ?? "");
  for (const service of services) {
    await sql.unsafe(`grant connect on database ${databaseName(service)} to ${ROLE}`);
    const own = openDatabase(
      Object.assign(new URL(databaseUrl), { pathname: databaseName(service) }).href,
      "connectors",
    );
    await own.sql.unsafe(`grant select on outbox to ${ROLE}`).finally(() => own.close());
  }
}

async function connectOne({ sql }: Database, config: Config, service: string): Promise<void> {
  const slot = slotNameIn(databaseName(service), SLOT);
  if ((await sql`select from pg_replication_slots where slot_name = ${slot}`).length === 0)
    throw new Error(`${service} has made no slot ${slot}: it is started first, with RELAY=debezium`);
  const wanted = connectorOf(service, config);
  const path = `/connectors/bodega-${service}/config`;
  const found = await ask(config, "GET", path);
  const { name: _, ...told } = found ?? {};
  // What is written again is begun again.
  if (!Bun.deepEquals(told, wanted)) await ask(config, "PUT", path, wanted);
}

/** A failed task stays so until somebody says otherwise. */
async function mustRun(config: Config, service: string): Promise<void> {
  const connector = `/connectors/bodega-${service}`;
  // What Kafka Connect's REST interface answers.
  const status = (await ask(config, "GET", `${connector}/status`)) as Status | undefined;
  const [task] = status?.tasks ?? [];
  if (status?.connector.state === "RUNNING" && task?.state === "RUNNING") return;
  if ([status?.connector.state, task?.state].includes("FAILED"))
    await ask(config, "POST", `${connector}/restart?includeTasks=true&onlyFailed=true`);
  const why = task?.trace?.split("\n")[0] ?? "";
  throw new Error(`the connector of ${service} is ${status?.connector.state}, its task ${task?.state}: ${why}`);
}

interface Status {
  connector: { state: string };
  tasks: { state: string; trace?: string }[];
}

function connectorOf(service: string, { databaseUrl, told }: Config): Record<string, unknown> {
  const { hostname, port } = new URL(databaseUrl);
  const words = { SERVICE: service, POSTGRES_HOST: hostname, POSTGRES_PORT: port || "5432", DEBEZIUM_PASSWORD: told };
  const fill = (text: string) =>
    Object.entries(words).reduce((filled, [word, value]) => filled.replaceAll(word, () => value), text);
  // All its values are texts.
  const template = JSON.parse(readFileSync(join(import.meta.dir, "outbox.json"), "utf8")) as Record<string, string>;
  return Object.fromEntries(Object.entries(template).map(([name, value]) => [name, fill(value)]));
}

/** Undefined where there is no such thing. */
async function ask({ connectUrl }: Config, method: string, path: string, body?: Record<string, unknown>) {
  const answer = await fetch(connectUrl + path, {
    method,
    signal: AbortSignal.timeout(ASKED_MS_MAX),
    ...(body && { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
  });
  if (answer.status === 404) return undefined;
  const text = await answer.text();
  if (!answer.ok) throw new Error(`Kafka Connect answered ${answer.status} to ${method} ${path}: ${text}`);
  // What Kafka Connect's REST interface answers.
  return text ? (JSON.parse(text) as Record<string, unknown>) : {};
}

/** They all start at one time: who is not there yet, will be. */
async function eventually(work: () => Promise<void>): Promise<void> {
  let last = "";
  for (const patience = AbortSignal.timeout(PATIENCE_MS); ; await Bun.sleep(AGAIN_MS)) {
    try {
      return await work();
    } catch (error) {
      if (patience.aborted) throw error;
      const said = error instanceof Error ? error.message : String(error);
      if (said !== last) process.stderr.write(`not yet: ${said}\n`);
      last = said;
    }
  }
}

if (import.meta.main) {
  await letDebeziumTell(SERVICE_NAMES, process.env);
  process.stderr.write(`Debezium tells the facts of ${SERVICE_NAMES.join(", ")}\n`);
  process.exit();
}
