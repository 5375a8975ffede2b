// What the main seed let in at its edge, and what it let out. Each test begins with it.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { createHmac } from "node:crypto";
import { Role } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { OrderService, OrderStatus } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { createVerifier, deriveServiceKey, signToken } from "../../packages/service/wire/tokens.ts";
import { systemRandom } from "../../packages/time/random.ts";
import { codeIn } from "../../scripts/copy/mails.ts";
import { addCustomer, addProduct, orderNow, place } from "../kit/customers.ts";
import { type System, startSystem, type User } from "../kit/system.ts";
import { type Edge, openEdge } from "./edge.ts";

setDefaultTimeout(60_000);
const PASSWORD = "three brown foxes";

let system: System;
let edge: Edge;
let ann: User;
let bob: User;
beforeAll(async () => {
  system = await startSystem();
  edge = await openEdge(system);
  [ann, bob] = [await addCustomer(system, "ann"), await addCustomer(system, "bob")];
});
afterAll(async () => {
  await edge.close();
  await system.close();
});

test("s4-16 everybody reads everybody's orders: others' are not there, alone and in the list", async () => {
  // The seed looked an order up by its id alone and listed the whole table, whoever asked.
  const { orderId } = await place(system, ann, await addProduct(system, { sku: "s4-16" }));
  expect(await edge.rest(ann, `GET /v1/orders/${orderId}`)).toMatchObject({
    status: 200,
    body: { order: { orderId } },
  });
  expect(await edge.rest(ann, "GET /v1/orders")).toMatchObject({ body: { orders: [{ orderId }] } });
  expect(await edge.rest(bob, `GET /v1/orders/${orderId}`)).toMatchObject({ status: 404 });
  expect(await edge.rest(bob, `GET /v1/orders/${orderId}/history`)).toMatchObject({ status: 404 });
  expect(await edge.rest(bob, `POST /v1/orders/${orderId}:cancel`, {})).toMatchObject({ status: 404 });
  expect((await edge.rest(bob, "GET /v1/orders")).body["orders"] ?? []).toEqual([]);
  expect(await edge.rest(null, `GET /v1/orders/${orderId}`)).toMatchObject({ status: 401 });
  expect(await edge.rest(system.admin, `GET /v1/orders/${orderId}`)).toMatchObject({ status: 200 });
});

test("s4-17 any user edits the catalogue: only admins create, change and archive products", async () => {
  // The seed asked for a token before /products, and for nobody's role.
  const productId = await addProduct(system, { sku: "s4-17" });
  const price = { currencyCode: "EUR", minorUnits: "1" };
  const create = { requestId: "s4-17", sku: "mine", name: "mine", price };
  const calls: [string, object][] = [
    ["POST /v1/products", create],
    [`PATCH /v1/products/${productId}`, { expectedVersion: "1", price }],
    [`POST /v1/products/${productId}:archive`, {}],
  ];
  const { body: before } = await edge.rest(null, `GET /v1/products/${productId}`);
  for (const [call, body] of calls) {
    expect(await edge.rest(ann, call, body)).toMatchObject({ status: 403, body: { reason: "PERMISSION_DENIED" } });
    expect(await edge.rest(null, call, body)).toMatchObject({ status: 401 });
  }
  expect((await edge.rest(null, `GET /v1/products/${productId}`)).body).toEqual(before);
  for (const [call, body] of calls) expect(await edge.rest(system.admin, call, body)).toMatchObject({ status: 200 });
});

test("s4-18 identities cross between requests at once: each is answered as who it is, and never as it says it is", async () => {
  // The seed's proxy swapped one shared director per request, which wrote X-User-ID: at once, one got the other's.
  const productId = await addProduct(system, { sku: "s4-18", stock: 1_000 });
  const people = await Promise.all(Array.from({ length: 25 }, (_, index) => addCustomer(system, `person${index}`)));
  const forged = { "x-user-id": ann.userId, "x-email": "ann@bodega.test", "x-roles": "ROLE_ADMIN" };
  const answers = await Promise.all(
    people.flatMap((who, index) =>
      [1, 2, 3].map(async (turn) => {
        const lines = [{ productId, quantity: (index % 9) + 1 }];
        const request = { requestId: `s4-18-${turn}`, lines };
        const { body } = await edge.rest(who, "POST /v1/orders", request, forged);
        return { who: who.userId, order: body["order"] as unknown as { customerId: string; orderId: string } };
      }),
    ),
  );
  for (const { who, order } of answers) expect(order.customerId).toBe(who);
  expect(new Set(answers.map(({ order }) => order.orderId)).size).toBe(answers.length);
  const lists = await Promise.all(people.map((who) => edge.rest(who, "GET /v1/orders", undefined, forged)));
  for (const [index, { body }] of lists.entries()) {
    const orders = body["orders"] as unknown as { customerId: string }[];
    expect(orders.map(({ customerId }) => customerId)).toEqual(Array(3).fill(people[index]?.userId));
  }
});

test("s4-19 codes follow from the clock: at one moment of it no two have anything in common", async () => {
  // The seed drew codes from a generator seeded with the time: who knew when a code was made knew the code.
  const emails = Array.from({ length: 10 }, (_, index) => `s4-19-${index}@bodega.test`);
  for (const email of emails) await edge.rest(null, "POST /v1/users", { email, password: PASSWORD });
  await system.settle();
  const codes = await Promise.all(emails.map(newestCode));
  // Two of them may meet by chance, once in 20,000 runs.
  expect(new Set(codes).size).toBeGreaterThanOrEqual(codes.length - 1);
  expect(systemRandom(system.clock).digits(30)).not.toBe(systemRandom(system.clock).digits(30));
});

test("s4-20 codes may be guessed for ever: after five guesses the right one is worth nothing, and guessing slows down", async () => {
  // The seed compared as many codes as came within ten minutes: a million guesses are soon made.
  const email = "s4-20@bodega.test";
  await edge.rest(null, "POST /v1/users", { email, password: PASSWORD });
  const code = await codeFor(email);
  const guess = (guessed: string) => edge.rest(null, "POST /v1/users:verifyEmail", { email, code: guessed });
  const wrong = (index: number) => String((Number(code) + 1 + index) % 1_000_000).padStart(6, "0");
  for (let index = 0; index < 5; index++)
    expect(await guess(wrong(index))).toMatchObject({ status: 400, body: { reason: "CODE_INVALID" } });
  expect(await guess(code)).toMatchObject({ status: 400, body: { reason: "CODE_INVALID" } });
  const later = [];
  for (let index = 5; index < 25; index++) later.push(await guess(wrong(index)));
  expect(later.at(-1)).toMatchObject({ status: 429, body: { reason: "TOO_MANY_ATTEMPTS" } });
  expect(Number(later.at(-1)?.headers.get("retry-after"))).toBeGreaterThan(0);
});

test("s4-21 mail signs tokens of users: a service has a name of its own, and nobody but auth speaks for users", async () => {
  // The seed's mail service knew the shared secret and signed itself a token of whichever user's order it wanted to read.
  const { orderId } = await place(system, ann, await addProduct(system, { sku: "s4-21" }));
  const orders = system.app("mail").call(OrderService);
  expect((await orders.getOrder({ orderId })).order?.customerId).toBe(ann.userId);
  await expect(orders.cancelOrder({ orderId })).rejects.toThrow(/not_found/);
  expect((await orderNow(system, orderId)).status).toBe(OrderStatus.PENDING);
  const key = await deriveServiceKey("the secret of mail", "mail");
  const verifier = createVerifier(async () => ({ keys: [] }), system.clock, { trusted: [key.publicJwk] });
  const sign = (roles: Role[], userId = "service:mail") =>
    signToken(key, { userId, roles, tokenId: "1" }, system.clock.now());
  expect(await verifier.verify((await sign([Role.SERVICE])).token)).toMatchObject({ roles: [Role.SERVICE] });
  for (const roles of [[Role.CUSTOMER], [Role.ADMIN], [], [Role.SERVICE, Role.ADMIN]])
    await expect(verifier.verify((await sign(roles)).token)).rejects.toThrow(/a role its key may not give/);
  await expect(verifier.verify((await sign([Role.SERVICE], ann.userId)).token)).rejects.toThrow(
    /whom its key may not name/,
  );
  // And no secret that two services share opens the door: HS256 is no algorithm here, whatever it is keyed with.
  for (const secret of ["secret", JSON.stringify(await keySet())]) {
    const headers = { authorization: `Bearer ${symmetric(secret)}` };
    expect(await edge.rest(null, `GET /v1/orders/${orderId}`, undefined, headers)).toMatchObject({ status: 401 });
  }
});

test("s4-22 tokens live for a day and cannot be taken back: ten minutes, and a logout ends the session", async () => {
  // The seed's tokens lived 1440 minutes, without refresh or logout.
  const email = "s4-22@bodega.test";
  await edge.rest(null, "POST /v1/users", { email, password: PASSWORD });
  await edge.rest(null, "POST /v1/users:verifyEmail", { email, code: await codeFor(email) });
  const { body } = await edge.rest(null, "POST /v1/sessions", { email, password: PASSWORD });
  const { accessToken, refreshToken } = body as unknown as { accessToken: string; refreshToken: string };
  const me = () => edge.rest(null, "GET /v1/users/me", undefined, { authorization: `Bearer ${accessToken}` });
  expect(await me()).toMatchObject({ status: 200 });
  await system.advance(11 * 60_000);
  expect(await me()).toMatchObject({ status: 401 });
  await edge.rest(null, "POST /v1/sessions:logout", { refreshToken });
  expect(await edge.rest(null, "POST /v1/sessions:refresh", { refreshToken })).toMatchObject({ status: 401 });
});

test("s4-23 rate limits exist in the README alone: each route counts its callers, and refuses with a time to come back", async () => {
  // The seed had none.
  const ask = (index: number) =>
    edge.rest(null, "POST /v1/users:resendVerification", { email: `s4-23-${index}@bodega.test` });
  const answers = await Promise.all(Array.from({ length: 120 }, (_, index) => ask(index)));
  const limited = answers.filter(({ body }) => body.reason === "RATE_LIMITED");
  expect(limited.length).toBeGreaterThan(0);
  expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(50);
  for (const { status, headers } of limited) {
    expect(status).toBe(429);
    expect(Number(headers.get("retry-after"))).toBeGreaterThan(0);
  }
  const other = await edge.rest(null, "GET /v1/products");
  expect(other.status).toBe(200);
  expect(Number(other.headers.get("ratelimit-remaining"))).toBeGreaterThan(0);
  const metrics = await (await fetch(`${edge.opsUrl}/metrics`)).text();
  expect(metrics).toContain(
    `bodega_rate_limited_total{route="bodega.auth.v1.AuthService/ResendVerification"} ${limited.length}`,
  );
});

async function codeFor(email: string): Promise<string> {
  await system.settle();
  return newestCode(email);
}

/** In the newest mail to this address. */
async function newestCode(email: string): Promise<string> {
  const [mail] = await system.app("mail").sql<
    { data: string }[]
  >`select data from caught_mails where data like ${`%${email}%`} order by position desc limit 1`;
  const code = codeIn(mail?.data ?? "");
  if (!code) throw new Error(`no code was mailed to ${email}`);
  return code;
}

async function keySet(): Promise<unknown> {
  return (await fetch(`${edge.url}/.well-known/jwks.json`)).json();
}

/** Ann's token as the seed would have made it. */
function symmetric(secret: string): string {
  const seconds = Math.floor(system.clock.now().getTime() / 1_000);
  const claims = { sub: ann.userId, roles: ["ROLE_ADMIN"], iss: "bodega", aud: "bodega", iat: seconds };
  const parts = [
    { alg: "HS256", typ: "at+jwt" },
    { ...claims, exp: seconds + 600 },
  ];
  const signed = parts.map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}
