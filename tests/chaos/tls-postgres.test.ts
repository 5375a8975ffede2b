// The program as people start it, on a PostgreSQL that it reaches over TLS alone, and whose write-ahead log it reads over TLS too.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { rmSync } from "node:fs";
import { openDatabase } from "../../packages/database/database.ts";
import { startCopy } from "../../scripts/copy/start.ts";
import { createAuthority } from "../kit/certificates.ts";
import { startTestPostgres } from "../kit/postgres.ts";
import { overTls, speakers, speakTls } from "../kit/postgres-tls.ts";
import { createClient } from "./client.ts";
import { createDice } from "./dice.ts";
import { oneOrder } from "./one-order.ts";
import { newPlace, type Place } from "./place.ts";
import { openShop } from "./shop.ts";

setDefaultTimeout(300_000);
const [authority, stranger] = [createAuthority(), createAuthority()];
let url: string;
let place: Place;

beforeAll(async () => {
  url = await startTestPostgres();
  await speakTls(url, authority);
  place = await newPlace();
});
afterAll(() => {
  authority.close();
  stranger.close();
  if (place) rmSync(place.folder, { recursive: true, force: true });
});

const start = (DATABASE_URL: string) =>
  startCopy({ env: { ...place.env, DATABASE_URL, RELAY: "wal" }, logFile: place.logFile });

test("an order is placed, paid and completed, and nobody of ours has spoken in the clear", async () => {
  const copy = start(overTls(url, authority));
  const admin = openDatabase(url, "test");
  try {
    await copy.open();
    const client = createClient(place.base, createDice(1));
    await oneOrder(client, await openShop(client, place.mailUrl, 1));
    expect(await speakers(admin)).toEqual([
      { backend_type: "client backend", ssl: true },
      { backend_type: "walsender", ssl: true },
    ]);
  } finally {
    await admin.close();
    await copy.end();
  }
});

test.each<[string, () => string, RegExp]>([
  ["another authority", () => overTls(url, stranger), /certificate|issuer/i],
  [
    "another password",
    () => overTls(url.replace(/:[^:@/]+@/, ":not-the-password@"), authority),
    /password authentication/,
  ],
])("with %s it does not start, and says why", async (_, databaseUrl, says) => {
  const copy = start(databaseUrl());
  const opened = copy.open().then(
    () => "open",
    () => "ended",
  );
  expect([await opened, await copy.exited]).toEqual(["ended", 1]);
  expect(copy.said()).toMatch(says);
  expect(copy.said()).not.toContain("not-the-password");
});
