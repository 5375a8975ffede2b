// What belongs inside is worth nothing outside: a service's token, a second spelling of a token, more questions than a database should be asked.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { Role } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { keyOf } from "../../packages/database/provision.ts";
import { deriveServiceKey, signToken } from "../../packages/service/wire/tokens.ts";
import { createEdge } from "../kit/edge.ts";
import { startLiveEdge } from "../kit/live-edge.ts";
import { type System, startSystem } from "../kit/system.ts";

setDefaultTimeout(60_000);
let system: System;
let edge: Awaited<ReturnType<typeof startLiveEdge>>;
beforeAll(async () => {
  system = await startSystem({ services: ["order", "product"] });
  edge = await startLiveEdge(system);
});
afterAll(async () => {
  await edge.close();
  await system.close();
});

const ask = (path: string, token: string) =>
  fetch(`${edge.url}${path}`, { headers: { authorization: `Bearer ${token}` } });

test("a service's own token opens nothing from outside, though it is good inside", async () => {
  const [row] = await system.app("order").sql<{ orders: string }[]>`select current_database() as orders`;
  const orders = row?.orders ?? "";
  const key = await deriveServiceKey(keyOf("test", orders), "order");
  const claims = { userId: "service:order", roles: [Role.SERVICE], tokenId: "1" };
  const { token } = await signToken(key, claims, system.clock.now());
  expect(await system.platform.verifier.verify(token)).toMatchObject({ userId: "service:order" });
  const answer = await ask("/v1/orders", token);
  expect([answer.status, await answer.json()]).toMatchObject([401, { code: "unauthenticated" }]);
  // Where no token is needed it is none, and the service does not see it either.
  expect((await ask("/v1/products", token)).status).toBe(200);
  expect(system.lines.filter(({ event }) => event === "rpc.failed")).toEqual([]);
});

test("a token has one spelling: another with the same bytes is none", async () => {
  const token = await system.token(system.newCustomer());
  expect((await ask("/v1/orders", token)).status).toBe(200);
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  // The last character of a signature of 64 bytes carries two bits; the four below them say nothing.
  const last = alphabet.indexOf(token.at(-1) ?? "");
  const twin = token.slice(0, -1) + alphabet[last ^ 1];
  const [, , signature = ""] = token.split(".");
  const [, , other = ""] = twin.split(".");
  expect(Buffer.from(other, "base64url")).toEqual(Buffer.from(signature, "base64url"));
  expect((await ask("/v1/orders", twin)).status).toBe(401);
});

test("whoever asks how the databases are, they are asked once a second", async () => {
  let asked = 0;
  const counting = await createEdge({
    database: async () => {
      asked += 1;
    },
  });
  const ready = () => counting.gateway.fetch(new Request("http://edge/readyz"));
  const answers = await Promise.all(Array.from({ length: 100 }, ready));
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  const once = asked;
  expect(once).toBeLessThan(10);
  counting.clock.advance(1_000);
  await ready();
  expect(asked).toBe(2 * once);
});

test("the signing keys are asked for once a second, in nobody's name", async () => {
  const fake = await createEdge();
  const headers = await fake.bearer(Role.ADMIN);
  const before = fake.lines.filter(({ rpc }) => rpc === "GetSigningKeys").length;
  const path = "http://edge/.well-known/jwks.json";
  await Promise.all(Array.from({ length: 50 }, () => fake.gateway.fetch(new Request(path, { headers }))));
  expect(fake.lines.filter(({ rpc }) => rpc === "GetSigningKeys").length - before).toBe(1);
});
