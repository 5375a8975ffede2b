// The program as people start it, with PostgreSQL, Kafka, RabbitMQ and Redis over TLS and passwords on all of them, and the write-ahead log read over TLS too.
import { afterAll, beforeAll, expect, setDefaultTimeout } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openDatabase } from "../../packages/database/database.ts";
import type { Environment } from "../../scripts/copy/ports.ts";
import { type Copy, startCopy } from "../../scripts/copy/start.ts";
import { type Authority, createAuthority } from "../kit/certificates.ts";
import { eventually } from "../kit/eventually.ts";
import { startTestPostgres } from "../kit/postgres.ts";
import { overTls, speakers, speakTls } from "../kit/postgres-tls.ts";
import { absent } from "../kit/servers/absent.ts";
import { PASSWORD, startTlsServers, TLS_KINDS, type TlsServers } from "../kit/servers/tls.ts";
import { testUnless } from "../kit/test-unless.ts";
import { createClient } from "./client.ts";
import { createDice } from "./dice.ts";
import { oneOrder } from "./one-order.ts";
import { newPlace, type Place } from "./place.ts";
import { openShop } from "./shop.ts";

setDefaultTimeout(300_000);
const BASE_PORT = 28_200 + (process.pid % 10) * 100;
const reason = absent([...TLS_KINDS]);
const withServers = testUnless(reason);

let [authority, stranger]: Authority[] = [];
let tls: TlsServers;
let url: string;
let place: Place;
/** PostgreSQL's too. */
let all: Environment;

beforeAll(async () => {
  if (reason) return;
  [authority, stranger] = [createAuthority(), createAuthority()];
  tls = await startTlsServers(authority, BASE_PORT);
  url = await startTestPostgres();
  await speakTls(url, authority);
  place = await newPlace();
  const { cert, key } = authority.certify("DNS:bodega");
  all = {
    ...Object.assign({}, ...Object.values(tls.env)),
    ...{ TLS_CA: authority.ca, TLS_CERT: cert, TLS_KEY: key },
    DATABASE_URL: overTls(url, authority),
    RELAY: "wal",
  };
});
afterAll(async () => {
  await tls?.servers.down();
  authority?.close();
  stranger?.close();
  if (place) rmSync(place.folder, { recursive: true, force: true });
});

/** What its operator's page tells; nothing while there is none. */
async function health(): Promise<string> {
  try {
    return await (await fetch(`http://127.0.0.1:${place.env["OPS_PORT"]}/health`)).text();
  } catch {
    return ""; // It has not opened, or has ended.
  }
}

/** What a start with these says, on its operator's page and in its log too, once that is enough. */
async function began(env: Environment, enough: RegExp): Promise<string> {
  const logFile = join(place.folder, `log-${crypto.randomUUID()}`);
  writeFileSync(logFile, "");
  const copy = startCopy({ env: { ...place.env, ...env }, logFile });
  const said = async () => [copy.said(), await Bun.file(logFile).text(), await health()].join("\n");
  try {
    await eventually(async () => enough.test(await said()));
    return await said();
  } catch (error) {
    throw new Error(`nothing like ${enough} was said, but: ${await said()}`, { cause: error });
  } finally {
    await copy.end();
  }
}

withServers("an order is placed, paid and completed, and nobody has spoken in the clear", async () => {
  const copy: Copy = startCopy({ env: { ...place.env, ...all }, logFile: place.logFile });
  const admin = openDatabase(url, "test");
  try {
    await copy.open();
    const client = createClient(place.base, createDice(1));
    await oneOrder(client, await openShop(client, place.mailUrl, 1));
    const log = await Bun.file(place.logFile).text();
    expect(log).toContain('"events":"kafka","jobs":"rabbitmq","locks":"redis"');
    await eventually(async () => {
      const { parts } = JSON.parse((await health()) || "{}");
      return ["events", "jobs", "locks"].every((part) => parts?.[part] && parts[part].state !== "silent");
    });
    expect(await speakers(admin)).toEqual([
      { backend_type: "client backend", ssl: true },
      { backend_type: "walsender", ssl: true },
    ]);
  } finally {
    await admin.close();
    await copy.end();
  }
});

const WRONG = "not-the-password";
const CERTIFICATE = /certificate|issuer/i;

withServers("a server of another authority is not talked to, and a wrong password is said to be one", async () => {
  const { kafka, rabbitmq, redis } = tls.env;
  const { cert, key } = (authority as Authority).certify("DNS:bodega");
  const theirs = { TLS_CA: (stranger as Authority).ca, TLS_CERT: cert, TLS_KEY: key };
  const ours = { ...theirs, TLS_CA: (authority as Authority).ca };
  const wrong = (env: Environment) =>
    Object.fromEntries(Object.entries(env).map(([name, value]) => [name, value.replace(PASSWORD, WRONG)]));
  for (const [env, says] of [
    [{ ...kafka, ...theirs }, CERTIFICATE],
    [{ ...rabbitmq, ...theirs }, CERTIFICATE],
    [{ ...redis, ...theirs }, CERTIFICATE],
    [{ DATABASE_URL: overTls(url, stranger as Authority) }, CERTIFICATE],
    [wrong({ ...kafka, ...ours }), /SASL|authentication/i],
    [wrong({ ...rabbitmq, ...ours }), /ACCESS_REFUSED|refused|login/i],
    [wrong({ ...redis, ...ours }), /WRONGPASS|password/i],
    [
      { DATABASE_URL: overTls(url, authority as Authority).replace(/:[^:@/]+@/, `:${WRONG}@`) },
      /password authentication failed/,
    ],
  ] as const) {
    const said = await began(env, says);
    expect(said).not.toContain(WRONG);
  }
});
