import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { OrderService, OrderStatus } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { PaymentService } from "../../packages/api/gen/bodega/payment/v1/payment_pb.ts";
import { ProductService } from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import type { Locks } from "../../packages/locks/locks.ts";
import { addCustomer, addProduct, differences, mailsAbout, orderNow, pay, place, stockOf } from "../kit/customers.ts";
import { type System, startSystem } from "../kit/system.ts";

setDefaultTimeout(120_000);
const ALLOWED = { allowed: true, remaining: 1, retryAfterMs: 0, resetAfterMs: 0 };
const close = async () => {};
const inspect = async () => ({ found: "as a test wants it", figures: {}, troubles: [] });

/** What may become of a lock service, and must not matter. */
const LOCKS: Record<string, Locks> = {
  "the lock service is away": {
    tryLock: () => Promise.reject(new Error("connection refused")),
    unlock: () => Promise.reject(new Error("connection refused")),
    take: async () => ALLOWED,
    inspect,
    close,
  },
  "everybody gets the lock": {
    tryLock: async () => "token",
    unlock: async () => true,
    take: async () => ALLOWED,
    inspect,
    close,
  },
  "a lock is lost as soon as it is given": {
    tryLock: async () => crypto.randomUUID(),
    unlock: async () => false,
    take: async () => ALLOWED,
    inspect,
    close,
  },
};

for (const [what, locks] of Object.entries(LOCKS)) {
  test(`${what}: still one order per key, and the same answer for all`, async () => {
    const system = await startSystem({ services: ["auth", "product", "stock", "order", "mail", "payment"], locks });
    const productId = await addProduct(system, { stock: 500 });
    const customer = await addCustomer(system);
    const orders = system.as(customer, OrderService);
    for (let round = 0; round < 20; round++) {
      const answers = await Promise.all(
        Array.from({ length: 20 }, () =>
          orders.placeOrder({ requestId: `key ${round}`, lines: [{ productId, quantity: 1 }] }),
        ),
      );
      expect(new Set(answers.map(({ order }) => order?.orderId)).size).toBe(1);
      expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(1);
    }
    await system.settle();
    expect(await stockOf(system, productId)).toEqual({ onHand: 500, reserved: 20, available: 480 });
    await system.close();
  });
}

describe("a key", () => {
  test("keeps its answer when the world has moved on, belongs to its customer, and refuses another body", async () => {
    const system = await startSystem({ services: ["auth", "product", "stock", "order", "mail", "payment"] });
    const productId = await addProduct(system, { sku: "moved", stock: 5 });
    const [ann, bob] = [await addCustomer(system, "ann"), await addCustomer(system, "bob")];
    const first = await system
      .as(ann, OrderService)
      .placeOrder({ requestId: "k", lines: [{ productId, quantity: 1 }] });
    await system.as("admin", ProductService).archiveProduct({ productId });
    await system.settle();
    const again = await system
      .as(ann, OrderService)
      .placeOrder({ requestId: "k", lines: [{ productId, quantity: 1 }] });
    expect(again).toEqual({ ...first, replayed: true });
    await expect(
      system.as(bob, OrderService).placeOrder({ requestId: "k", lines: [{ productId, quantity: 1 }] }),
    ).rejects.toThrow(/not for sale/);
    const other = await system
      .as(ann, OrderService)
      .placeOrder({ requestId: "k", lines: [{ productId, quantity: 2 }] })
      .catch(ConnectError.from);
    expect(other).toMatchObject({ code: Code.AlreadyExists });
    await system.close();
  });

  test("that was refused is not spent: the same call works once its cause is mended", async () => {
    const system = await startSystem({ services: ["auth", "product", "stock", "order", "mail", "payment"] });
    const customer = await addCustomer(system);
    const missing = system.random.id();
    const ask = (productId: string) =>
      system.as(customer, OrderService).placeOrder({ requestId: "retry", lines: [{ productId, quantity: 1 }] });
    await expect(ask(missing)).rejects.toThrow(/not for sale/);
    const productId = await addProduct(system);
    expect((await ask(productId)).replayed).toBe(false);
    await system.close();
  });
});

test("the whole life of an order over the write-ahead-log relay", async () => {
  const system: System = await startSystem({ relay: "wal" });
  const productId = await addProduct(system, { stock: 3 });
  const customer = await addCustomer(system);
  const paid = await place(system, customer, productId);
  const forgotten = await place(system, customer, productId, 2);
  await system.settle();
  await pay(system, customer, paid.orderId);
  await system.settle();
  expect(
    (await system.as(customer, PaymentService).getPayment({ orderId: paid.orderId })).payment?.amount?.minorUnits,
  ).toBe(450n);
  await system.advance(24 * 3_600_000);
  expect((await orderNow(system, paid.orderId)).status).toBe(OrderStatus.PAID);
  expect((await orderNow(system, forgotten.orderId)).status).toBe(OrderStatus.CANCELLED);
  expect(await mailsAbout(system, forgotten.orderId)).toEqual(["order_received", "order_cancelled"]);
  expect(await stockOf(system, productId)).toEqual({ onHand: 2, reserved: 0, available: 2 });
  expect(await differences(system)).toEqual([]);
  await system.close();
});
