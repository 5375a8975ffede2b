import { afterAll, beforeAll, expect, setDefaultTimeout } from "bun:test";
import { OrderStatus } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { SETTLE_MS } from "../../packages/jobs/rabbitmq-queues.ts";
import { addCustomer, addProduct, mailsAbout, orderNow, pay, place } from "../kit/customers.ts";
import { NO_RABBITMQ, type RabbitServer, startRabbit } from "../kit/servers/rabbitmq.ts";
import { openJobs } from "../kit/servers/rabbitmq-jobs.ts";
import { type System, startSystem } from "../kit/system.ts";
import { testUnless } from "../kit/test-unless.ts";

setDefaultTimeout(120_000);
const HOUR_MS = 3_600_000;
const ORDERS = 20;

let server: RabbitServer;
let system: System;
beforeAll(async () => {
  if (NO_RABBITMQ) return;
  server = await startRabbit();
  system = await startSystem({ jobs: (await openJobs(server.url, { settleMs: SETTLE_MS })).jobs });
});
afterAll(async () => {
  await system?.close();
  await server?.end();
});

const title = "jobs carried by RabbitMQ, which is killed while they fall due: every mail goes out, and once";
testUnless(NO_RABBITMQ)(title, async () => {
  const productId = await addProduct(system, { sku: "carried", stock: 1_000, prepared: false });
  const customer = await addCustomer(system);
  const orders = await Promise.all(Array.from({ length: ORDERS }, () => place(system, customer, productId)));
  await system.settle();
  const [paid = orders[0], ...forgotten] = orders;
  await pay(system, customer, paid?.orderId ?? "");
  await system.settle();
  await server.kill();
  // Reminders fall due while nobody carries them.
  system.clock.advance(4 * HOUR_MS);
  await server.start();
  await system.settle();
  await system.advance(20 * HOUR_MS);
  expect((await orderNow(system, paid?.orderId ?? "")).status).toBe(OrderStatus.COMPLETED);
  expect(await mailsAbout(system, paid?.orderId ?? "")).toEqual([
    "order_received",
    "payment_received",
    "order_completed",
  ]);
  for (const { orderId } of forgotten) {
    expect((await orderNow(system, orderId)).status).toBe(OrderStatus.CANCELLED);
    expect(await mailsAbout(system, orderId)).toEqual(["order_received", "payment_reminder", "order_cancelled"]);
  }
});
