import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { OrderService } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { retryAfterMs } from "../../packages/service/errors.ts";
import { addProduct, place } from "../kit/customers.ts";
import { eventually } from "../kit/eventually.ts";
import { testPostgres } from "../kit/postgres.ts";
import { type System, startSystem } from "../kit/system.ts";
import { startTcpProxy, type TcpProxy } from "../kit/tcp-proxy.ts";

setDefaultTimeout(120_000);

let proxy: TcpProxy;
let system: System;
let productId: string;
beforeAll(async () => {
  const url = new URL(await testPostgres());
  proxy = await startTcpProxy({ hostname: "127.0.0.1", port: Number(url.port) });
  url.port = String(proxy.port);
  system = await startSystem({ services: ["product", "stock", "order"], databaseUrl: url.href });
  productId = await addProduct(system, { stock: 1_000 });
});
afterAll(async () => {
  await system.close();
  await proxy.end();
});

const refusal = (call: Promise<unknown>) =>
  call.then(
    () => undefined,
    (error: unknown) => ConnectError.from(error),
  );

test("behind a silent primary everybody is told to come back, writers and readers, and afterwards each has one order", async () => {
  const customers = Array.from({ length: 200 }, () => system.newCustomer());
  const ids = customers.map(() => system.random.id());
  const order = await place(system, customers[0] ?? system.newCustomer(), productId);
  proxy.swallow();
  const writes = customers.map((customer, index) => refusal(place(system, customer, productId, 1, ids[index])));
  const reads = customers.map((customer) =>
    refusal(system.as(customer, OrderService).getOrder({ orderId: order.orderId })),
  );
  const refusals = await Promise.all([...writes, ...reads]);
  expect(new Set(refusals.map((each) => Code[each?.code ?? 0]))).toEqual(new Set(["Unavailable"]));
  expect(refusals.every((each) => each && retryAfterMs(each) === 1_000)).toBe(true);
  proxy.pass();
  await eventually(async () => !(await refusal(place(system, system.newCustomer(), productId))));
  await Promise.all(customers.map((customer, index) => place(system, customer, productId, 1, ids[index])));
  const rows = await system.app("order").sql<{ orders: number }[]>`
    select count(*)::int as orders from orders where customer_id = any(${customers.map(({ userId }) => userId)}::uuid[])`;
  expect(rows[0]?.orders).toBe(customers.length + 1);
});

test("behind a table that somebody holds everybody is told, and nobody waits for those before him", async () => {
  const release = Promise.withResolvers<void>();
  const locked = Promise.withResolvers<void>();
  const holder = system.app("order").sql.begin(async (sql) => {
    await sql`set local idle_in_transaction_session_timeout = 0`;
    await sql`lock table order_lines in access exclusive mode`;
    locked.resolve();
    await release.promise;
  });
  await locked.promise;
  const refusals = await Promise.all(
    Array.from({ length: 100 }, () => refusal(place(system, system.newCustomer(), productId))),
  );
  const codes = new Set(refusals.map((each) => Code[each?.code ?? 0]));
  expect(codes.isSubsetOf(new Set(["Unavailable", "ResourceExhausted"]))).toBe(true);
  release.resolve();
  await holder;
  await place(system, system.newCustomer(), productId);
});
