// Every service in a process of its own, which talk to each other over TLS; and what becomes of one whose certificate is not good.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { createClient } from "../chaos/client.ts";
import { createDice } from "../chaos/dice.ts";
import { oneOrder } from "../chaos/one-order.ts";
import { openShop, type Shop } from "../chaos/shop.ts";
import { type Certificate, createAuthority } from "../kit/certificates.ts";
import { dropDatabases } from "../kit/databases.ts";
import { eventually } from "../kit/eventually.ts";
import { testPostgres } from "../kit/postgres.ts";
import { createProcesses, type Processes } from "./processes.ts";

setDefaultTimeout(300_000);

const VICTIM = "kitchen";
const [authority, stranger] = [createAuthority(), createAuthority()];
const mine = authority.certify("DNS:localhost");
/** What the victim is given when it starts next, where not as the others. */
let given: Certificate | undefined;
let processes: Processes;
let shop: Shop;

beforeAll(async () => {
  const env = { DATABASE_URL: await testPostgres(), TIME_SCALE_SINCE: new Date().toISOString() };
  processes = await createProcesses(env, {
    tls: {
      of(name) {
        const { cert, key } = (name === VICTIM && given) || mine;
        return { TLS_CA: authority.ca, TLS_CERT: cert, TLS_KEY: key };
      },
      shown: { ca: authority.ca, cert: mine.cert, key: mine.key },
    },
  });
  await processes.startAll();
});
afterAll(async () => {
  await processes?.close();
  await dropDatabases(await testPostgres(), "bodega");
  authority.close();
  stranger.close();
});

const client = () => createClient(processes.url, createDice(1));

test("an order is placed, paid and handed over, and nobody answers in the clear", async () => {
  shop = await openShop(client(), processes.mailUrl, 1);
  await oneOrder(client(), shop);
  const { ORDER_URL = "" } = processes.env;
  expect(ORDER_URL).toStartWith("https://");
  await expect(fetch(`${ORDER_URL.replace("https", "http")}/readyz`)).rejects.toThrow();
});

test("one with a certificate of another authority is not talked to, and operators are told why", async () => {
  await processes.end(VICTIM, "SIGTERM");
  given = stranger.certify("DNS:localhost");
  processes.start(VICTIM);
  await eventually(async () =>
    /"kitchen": \{\s+"database": "unreachable",\s+"because": "[^"]*(certificate|issuer)/i.test(
      await processes.health("gateway"),
    ),
  );
  const ready = await fetch(`${processes.url}/readyz`);
  expect([ready.status, await ready.text()]).toEqual([503, expect.stringMatching(/"kitchen":"unreachable"/)]);
  const { status } = await fetch(`${processes.url}/v1/tickets`, {
    headers: { authorization: `Bearer ${shop.adminToken}` },
  });
  expect(status).toBe(503);
});

test("one whose certificate is over does not start, and says so", async () => {
  await processes.end(VICTIM, "SIGTERM");
  given = authority.certifyFormer("DNS:localhost");
  processes.start(VICTIM);
  await expect(processes.open(VICTIM)).rejects.toThrow(/TLS_CERT is over since/);
});

test("with one that is good again it goes on where it was", async () => {
  await processes.end(VICTIM, "SIGTERM");
  given = undefined;
  processes.start(VICTIM);
  await processes.open(VICTIM);
  await oneOrder(client(), shop);
});
