// What the main seed's README claimed and its code had nowhere. Here each claim is seen at work.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { fromJson, type JsonValue, toJson } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { GetOrderResponseSchema, OrderService } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { ProductService } from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import { bucketOf, bucketOfCustomer } from "../../packages/time/ids.ts";
import { addCustomer, addProduct, pay, place } from "../kit/customers.ts";
import { type System, startSystem, type User } from "../kit/system.ts";
import { type Edge, openEdge } from "./edge.ts";

setDefaultTimeout(60_000);
const HOUR_MS = 3_600_000;

let system: System;
let edge: Edge;
let ann: User;
beforeAll(async () => {
  system = await startSystem();
  edge = await openEdge(system);
  ann = await addCustomer(system);
});
afterAll(async () => {
  await edge.close();
  await system.close();
});

test("s4-24 metrics exist in the README alone: calls, messages, moves and backlogs are counted, per service", async () => {
  const productId = await addProduct(system, { sku: "s4-24" });
  const metric = async (sample: string) => {
    const text = await (await fetch(`${edge.opsUrl}/metrics`)).text();
    const line = text.split("\n").find((each) => each.startsWith(`${sample} `));
    return line === undefined ? undefined : Number(line.slice(sample.length));
  };
  const placed = 'bodega_rpc_duration_seconds_count{service="order",method="PlaceOrder",code="ok"}';
  const refused = 'bodega_rpc_duration_seconds_count{service="order",method="PlaceOrder",code="InvalidArgument"}';
  expect(await metric(placed)).toBeUndefined();
  const request = { requestId: "s4-24", lines: [{ productId, quantity: 1 }] };
  await edge.rest(ann, "POST /v1/orders", request);
  await edge.rest(ann, "POST /v1/orders", { ...request, lines: [] });
  await system.settle();
  expect(await metric(placed)).toBe(1);
  expect(await metric(refused)).toBe(1);
  expect(await metric('bodega_messages_total{service="stock",type="order.created",outcome="done"}')).toBe(1);
  expect(await metric('bodega_backlog{service="order",kind="scheduled"}')).toBe(1);
  expect(await metric('bodega_backlog{service="order",kind="outbox"}')).toBe(0);
  for (const { name } of system.platform.services)
    expect(await metric(`bodega_backlog{service="${name}",kind="parked"}`)).toBe(0);
});

test("s4-25 requests and responses are transformed in the README alone: REST, Connect and gRPC are one order", async () => {
  const { orderId } = await place(system, ann, await addProduct(system, { sku: "s4-25" }));
  await system.settle();
  const authorization = `Bearer ${await system.token(ann)}`;
  const rest = await edge.rest(ann, `GET /v1/orders/${orderId}`);
  const connect = await fetch(`${edge.url}/bodega.order.v1.OrderService/GetOrder`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization },
    body: JSON.stringify({ orderId }),
  });
  const grpc = await createClient(OrderService, createGrpcTransport({ baseUrl: edge.grpcUrl })).getOrder(
    { orderId },
    { headers: { authorization } },
  );
  expect(rest.body).toMatchObject({ order: { orderId, status: "ORDER_STATUS_PENDING", total: { minorUnits: "450" } } });
  // REST spells out what is unset; the messages are the same.
  const short = (body: unknown) => toJson(GetOrderResponseSchema, fromJson(GetOrderResponseSchema, body as JsonValue));
  expect(short(await connect.json())).toEqual(short(rest.body));
  expect(toJson(GetOrderResponseSchema, grpc)).toEqual(short(rest.body));
});

test("s4-26 traces exist in the README alone: one trace leads from the edge through every service an order meets", async () => {
  const productId = await addProduct(system, { sku: "s4-26" });
  const traceId = "5eed".repeat(8);
  const headers = { traceparent: `00-${traceId}-${"4".repeat(16)}-01` };
  const request = { requestId: "s4-26", lines: [{ productId, quantity: 1 }] };
  const { body } = await edge.rest(ann, "POST /v1/orders", request, headers);
  const { orderId } = body["order"] as unknown as { orderId: string };
  await system.settle();
  await pay(system, ann, orderId);
  await system.settle();
  const met = new Set(system.lines.filter((line) => line["trace_id"] === traceId).map((line) => line["service"]));
  expect([...met]).toEqual(expect.arrayContaining(["order", "stock", "mail"]));
  const history = await edge.rest(ann, `GET /v1/orders/${orderId}/history`);
  expect(history.body["entries"]).toMatchObject([{ traceId }, {}]);
});

test("s4-27 shards exist in the README alone: an order's id names its customer's bucket, and so does each of its rows", async () => {
  const productId = await addProduct(system, { sku: "s4-27" });
  const people = await Promise.all(Array.from({ length: 5 }, () => addCustomer(system)));
  for (const who of people) {
    const { orderId } = await place(system, who, productId);
    const bucket = bucketOfCustomer(who.userId);
    expect(bucketOf(orderId)).toBe(bucket);
    const { sql } = system.app("order");
    const rows = await sql<{ bucket: number }[]>`
      select bucket from orders where order_id = ${orderId} union all select bucket from order_lines where order_id = ${orderId}
      union all select bucket from order_history where order_id = ${orderId}`;
    expect(rows.map((row) => row.bucket)).toEqual([bucket, bucket, bucket]);
  }
});

test("s4-28 event sourcing exists in the README alone: a product is the sum of its events, as of any moment", async () => {
  const products = system.as("admin", ProductService);
  const productId = await addProduct(system, { sku: "s4-28", price: 450n });
  const then = system.clock.now();
  system.clock.advance(HOUR_MS);
  const { product } = await products.getProduct({ productId });
  const price = { currencyCode: "EUR", minorUnits: 500n };
  await products.updateProduct({ productId, expectedVersion: product?.version ?? 0n, price, name: "new" });
  const now = await products.getProductHistory({ productId });
  expect(now.events.map(({ type }) => type)).toEqual(["product.created", "product.updated"]);
  expect(now.product).toMatchObject({ name: "new", price: { minorUnits: 500n } });
  const before = await products.getProductHistory({ productId, at: timestampFromDate(then) });
  expect(before.product).toMatchObject({ name: "s4-28", price: { minorUnits: 450n }, version: product?.version });
});
