// One connection that sends as fast as it can, what no budget of a route sees: 404, 415 and requests that are none of ours.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { Role } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { createDoor } from "../../services/gateway/admission/door.ts";
import { createEdge } from "../kit/edge.ts";
import { dial } from "../kit/raw.ts";

setDefaultTimeout(60_000);
let edge: Awaited<ReturnType<typeof createEdge>>;
let up: Awaited<ReturnType<typeof edge.gateway.listen>>;
beforeAll(async () => {
  edge = await createEdge();
  up = await edge.gateway.listen();
});
afterAll(() => up.close());

const CHEAP = [
  "GET /v1/nothing HTTP/1.1\r\nHost: a\r\n\r\n",
  "POST /v1/products HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n\r\nx",
];
/** More than the door lets in at once; the clock of this edge stands still. */
const MANY = 2_500;

test("is turned away and hung up on, while health is answered", async () => {
  const raw = await dial(up.port);
  for (let i = 0; i < MANY; i += 100) raw.write(CHEAP.join("").repeat(50));
  const health = await fetch(`http://127.0.0.1:${up.port}/healthz`);
  expect(health.status).toBe(200);
  const got = await raw.until(() => false);
  expect(raw.ended()).toBe(true);
  const statuses = Array.from(got.matchAll(/HTTP\/1\.1 (\d+) /g), ([, status]) => status);
  expect(statuses.at(-1)).toBe("429");
  expect(statuses.length).toBeLessThan(MANY);
});

test("then everything of that network is refused in its own protocol's words, but health", async () => {
  const base = `http://127.0.0.1:${up.port}`;
  const rest = await fetch(`${base}/v1/products`, { headers: await edge.bearer(Role.ADMIN) });
  expect([rest.status, await rest.json()]).toMatchObject([429, { reason: "RATE_LIMITED", code: "resource_exhausted" }]);
  const headers = { "content-type": "application/json" };
  const rpc = await fetch(`${base}/bodega.product.v1.ProductService/ListProducts`, {
    method: "POST",
    headers,
    body: "{}",
  });
  expect([rpc.status, await rpc.json()]).toMatchObject([429, { code: "resource_exhausted" }]);
  for (let i = 0; i < 20; i++) expect((await fetch(`${base}/healthz`)).status).toBe(200);
});

test("the door opens again with time, and has been open to other networks all along", () => {
  let now = 0;
  const door = createDoor(() => now, { perSecond: 10, burst: 5 });
  const tries = (network: string, count: number) =>
    Array.from({ length: count }, () => door(network) === undefined).filter(Boolean).length;
  expect(tries("a", 100)).toBe(5);
  expect(tries("b", 3)).toBe(3);
  now = 300;
  expect(tries("a", 100)).toBe(3);
});
