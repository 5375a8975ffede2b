// The shop below a path of somebody's site, as https://example.test/shop: every page and every link works, whether the proxy takes the path off or not.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { PaymentService } from "../../packages/api/gen/bodega/payment/v1/payment_pb.ts";
import { readConfig } from "../../services/gateway/config.ts";
import { addCustomer, addProduct, reserved } from "../kit/customers.ts";
import { startLiveEdge } from "../kit/live-edge.ts";
import { type System, startSystem } from "../kit/system.ts";

setDefaultTimeout(60_000);
const PUBLIC_URL = "https://example.test/pay/shop";
let system: System;
let edge: Awaited<ReturnType<typeof startLiveEdge>>;
beforeAll(async () => {
  system = await startSystem({ env: { PUBLIC_URL, PAYMENT_PROVIDER: "embedded" } });
  const ports = { PORT: "0", GRPC_PORT: "0", OPS_PORT: "0", RATE_LIMITS: "off" };
  edge = await startLiveEdge(system, { config: readConfig({ PUBLIC_URL, ...ports }) });
});
afterAll(async () => {
  await edge.close();
  await system.close();
});

/** What a browser at the public address would ask us, behind a proxy that keeps the path and behind one that takes it off. */
function seenBehind(link: string): string[] {
  const { origin, pathname, search } = new URL(link, PUBLIC_URL);
  if (origin !== new URL(PUBLIC_URL).origin) throw new Error(`${link} leads elsewhere`);
  const base = new URL(PUBLIC_URL).pathname;
  if (!pathname.startsWith(base)) throw new Error(`${link} leads out of the shop`);
  return [pathname, pathname.slice(base.length) || "/"].map((path) => edge.url + path + search);
}

test("a customer pays by following links only", async () => {
  const ann = await addCustomer(system);
  const orderId = await reserved(system, ann, await addProduct(system));
  const { payment } = await system.as(ann, PaymentService).startPayment({ orderId });
  const link = payment?.checkoutUrl ?? "";
  expect(link).toStartWith(PUBLIC_URL);
  for (const url of seenBehind(link)) {
    const html = await (await fetch(url)).text();
    const action = /<form method="post" action="([^"]*)"/.exec(html)?.[1] ?? "";
    for (const target of seenBehind(action)) {
      const answer = await fetch(target, { method: "POST", body: new URLSearchParams({ outcome: "declined" }) });
      const said = await answer.text();
      expect(said).toContain("Payment declined");
      const back = /<a href="([^"]*)">Back/.exec(said)?.[1] ?? "";
      for (const page of seenBehind(back)) expect((await fetch(page)).status).toBe(200);
    }
  }
});

test("the index leads to what it names, and the API says where it is", async () => {
  const html = await (await fetch(`${edge.url}/`, { headers: { accept: "text/html" } })).text();
  const links = Array.from(html.matchAll(/href="([^"]*)"/g), ([, link = ""]) => link);
  expect(links.length).toBeGreaterThan(3);
  for (const url of links.flatMap(seenBehind)) expect([url, (await fetch(url)).status]).toEqual([url, 200]);
  const { servers } = (await (await fetch(`${edge.url}/openapi.json`)).json()) as { servers: { url: string }[] };
  expect(servers).toEqual([{ url: new URL(PUBLIC_URL).pathname }]);
});

test("RPCs are there too, and what only looks like the path is not taken for it", async () => {
  const rpc = "/bodega.product.v1.ProductService/ListProducts";
  const headers = { "content-type": "application/json" };
  for (const url of seenBehind(PUBLIC_URL + rpc))
    expect((await fetch(url, { method: "POST", headers, body: "{}" })).status).toBe(200);
  expect((await fetch(`${edge.url}/pay/shopping/v1/products`)).status).toBe(404);
});
