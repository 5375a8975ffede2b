import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { create } from "@bufbuild/protobuf";
import {
  type Arbitrary,
  array,
  assert,
  asyncProperty,
  constantFrom,
  integer,
  nat,
  oneof,
  record,
  tuple,
} from "fast-check";
import type { FactEnvelope } from "../../packages/api/envelope.ts";
import * as facts from "../../packages/api/facts.ts";
import { StockService } from "../../packages/api/gen/bodega/stock/v1/stock_pb.ts";
import type { Body, BodyInit, Fact } from "../../packages/api/messages.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { handlersOf } from "../../packages/service/engine/handle.ts";
import { createReceiver } from "../../packages/service/engine/reactions.ts";
import { factMessage, received } from "../../tests/kit/messages.ts";
import { SEED } from "../../tests/kit/seed.ts";
import { type System, startSystem } from "../../tests/kit/system.ts";
import { onOrderCancelled } from "./on-order-cancelled.ts";
import { onOrderCreated } from "./on-order-created.ts";
import { onOrderPaid } from "./on-order-paid.ts";
import { onProductCreated } from "./on-product-created.ts";
import type { Line, Reservation, Status } from "./reservation.ts";
import { stock } from "./service.ts";

setDefaultTimeout(120_000);
const PRODUCTS = 3;
const ORDERS = 6;

let system: System;
let app: App;
beforeAll(async () => {
  system = await startSystem({ services: ["product", "stock"] });
  app = system.app("stock");
});
afterAll(() => system.close());

type Step =
  | { does: "create"; order: number; lines: { product: number; quantity: number }[] }
  | { does: "pay" | "cancel"; order: number }
  | { does: "adjust"; product: number; delta: number };

const order = nat(ORDERS - 1);
const product = nat(PRODUCTS - 1);
const lines = array(record({ product, quantity: integer({ min: 1, max: 4 }) }), { minLength: 1, maxLength: 4 });
const step: Arbitrary<Step> = oneof(
  { weight: 4, arbitrary: record({ does: constantFrom("create" as const), order, lines }) },
  { weight: 4, arbitrary: record({ does: constantFrom("pay" as const, "cancel" as const), order }) },
  {
    weight: 1,
    arbitrary: record({ does: constantFrom("adjust" as const), product, delta: integer({ min: -4, max: 4 }) }),
  },
);

/** The same rules, one step at a time, without a database: what the handlers must agree with, however they are batched. */
interface Model {
  onHand: number[];
  reserved: number[];
  orders: Map<number, { status: Status; wanted: number[] }>;
}

/** False for a step that the service refuses, and must leave without a trace. */
function take(model: Model, each: Step): boolean {
  if (each.does === "adjust") return adjustModel(model, each.product, each.delta);
  const known = model.orders.get(each.order);
  if (each.does === "create") {
    if (!known) model.orders.set(each.order, reserve(model, each.lines));
    return true;
  }
  if (each.does === "cancel") {
    if (known?.status === "RESERVED") add(model, known.wanted, 0, -1);
    if (known?.status === "COMMITTED") add(model, known.wanted, 1, 0);
    if (known?.status !== "REJECTED") {
      model.orders.set(each.order, { status: "RELEASED", wanted: known?.wanted ?? [] });
    }
    return true;
  }
  if (!known || known.status === "REJECTED") return false;
  if (known.status === "RESERVED") {
    add(model, known.wanted, -1, -1);
    known.status = "COMMITTED";
  }
  return true;
}

function adjustModel({ onHand, reserved }: Model, at: number, delta: number): boolean {
  const after = (onHand[at] ?? 0) + delta;
  if (delta === 0 || after < (reserved[at] ?? 0)) return false;
  onHand[at] = after;
  return true;
}

function reserve(model: Model, wants: { product: number; quantity: number }[]): { status: Status; wanted: number[] } {
  const wanted = Array<number>(PRODUCTS).fill(0);
  for (const want of wants) wanted[want.product] = (wanted[want.product] ?? 0) + want.quantity;
  const short = wanted.some((quantity, at) => quantity > (model.onHand[at] ?? 0) - (model.reserved[at] ?? 0));
  if (short) return { status: "REJECTED", wanted };
  add(model, wanted, 0, 1);
  return { status: "RESERVED", wanted };
}

function add(model: Model, wanted: number[], onHand: number, reserved: number) {
  for (const [at, quantity] of wanted.entries()) {
    model.onHand[at] = (model.onHand[at] ?? 0) + onHand * quantity;
    model.reserved[at] = (model.reserved[at] ?? 0) + reserved * quantity;
  }
}

test("whatever comes, twice or in any order, in whatever batches: columns, ledger and reservations agree with the rules", async () => {
  const initial = array(nat(10), { minLength: PRODUCTS, maxLength: PRODUCTS });
  const batches = array(array(step, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 8 });
  await assert(
    asyncProperty(tuple(initial, batches), async ([initialStock, steps]) => {
      const world = await newWorld(initialStock);
      const model: Model = { onHand: [...initialStock], reserved: initialStock.map(() => 0), orders: new Map() };
      for (const batch of steps) {
        const accepted = batch.filter((each) => each.does === "adjust" || take(model, each));
        // Adjustments are requests with a transaction of their own; facts of a batch share one.
        await app.transact(async (tx) => {
          for (const each of accepted) await hear(tx, world, each);
        });
        for (const each of batch) if (each.does === "adjust") await adjust(world, each, take(model, each));
        await expectWorld(world, initialStock, model);
      }
    }),
    { numRuns: 60, seed: SEED },
  );
});

test("many members of the group at once, with the same facts: the books agree and nothing is oversold", async () => {
  const initialStock = [5, 3, 40];
  const world = await newWorld(initialStock);
  world.orders = Array.from({ length: 60 }, () => system.random.id());
  const perOrder = world.orders.map((orderId, n) => [
    message(facts.OrderCreated, {
      orderId,
      lines: linesOf(world, [0, 1, 2].map((at) => ({ product: (at + n) % 3, quantity: 1 })).slice(n % 3)),
    }),
    ...(n % 2 === 0 ? [message(facts.OrderCancelled, { orderId })] : []),
  ]);
  const receive = createReceiver(app, handlersOf("stock", stock().hears, []));
  const members = [perOrder, perOrder.toReversed(), perOrder.slice(20), perOrder.slice(0, 40).toReversed()];
  await Promise.all(
    members.map(async (member) => {
      for (let at = 0; at < member.length; at += 15) await receive(member.slice(at, at + 15).flat());
    }),
  );
  await system.settle();
  await expectBooks(world, initialStock);
  const [row] = await app.sql<{ orders: bigint; open: bigint }[]>`
    select count(*) as orders, count(*) filter (where status = 'RESERVED') as open from reservations where order_id = any(${world.orders})`;
  expect(row?.orders).toBe(60n);
  expect(row?.open).toBeLessThanOrEqual(30n);
});

interface World {
  products: string[];
  orders: string[];
  adjusted: number[];
}

async function newWorld(initialStock: number[]): Promise<World> {
  const products = initialStock.map(() => system.random.id());
  const bodies = products.map((productId, at) =>
    create(facts.ProductCreated.schema, { productId, initialStock: initialStock[at] ?? 0 }),
  );
  await app.transact((tx) =>
    onProductCreated(
      app,
      tx,
      bodies.map((body) => received(tx, body)),
    ),
  );
  return {
    products,
    orders: Array.from({ length: ORDERS }, () => system.random.id()),
    adjusted: initialStock.map(() => 0),
  };
}

async function hear(tx: Tx, world: World, each: Step) {
  if (each.does === "adjust") return;
  const orderId = world.orders[each.order] ?? "";
  if (each.does === "create") {
    const body: Body<typeof facts.OrderCreated> = create(facts.OrderCreated.schema, {
      orderId,
      lines: linesOf(world, each.lines),
    });
    await onOrderCreated(app, tx, [received(tx, body), received(tx, body)]);
  } else if (each.does === "pay")
    await onOrderPaid(app, tx, [received(tx, create(facts.OrderPaid.schema, { orderId }))]);
  else await onOrderCancelled(app, tx, [received(tx, create(facts.OrderCancelled.schema, { orderId }))]);
}

async function adjust(world: World, { product: at, delta }: { product: number; delta: number }, possible: boolean) {
  const asked = { requestId: system.random.id(), productId: world.products[at] ?? "", delta, reason: "count" };
  const call = () => system.as("admin", StockService).adjustStock(asked);
  if (!possible) return expect(call()).rejects.toThrow();
  expect(await call()).toEqual(await call());
  world.adjusted[at] = (world.adjusted[at] ?? 0) + delta;
}

async function expectWorld(world: World, initialStock: number[], model: Model) {
  const { items, reservations } = await expectBooks(world, initialStock);
  expect(items.map(({ on_hand, reserved }) => [on_hand, reserved])).toEqual(
    model.onHand.map((count, at) => [count, model.reserved[at] ?? 0]),
  );
  const statuses = reservations.map(({ order_id, status }) => [world.orders.indexOf(order_id), status]);
  expect(statuses.toSorted()).toEqual([...model.orders].map(([at, { status }]) => [at, status]).toSorted());
}

/** At every version of every product: counts never negative. At the end: ledger = columns, promised = reserved, nothing made or lost. */
async function expectBooks({ products, orders, adjusted }: World, initialStock: number[]) {
  const { sql } = app;
  const items = await sql<{ product_id: string; on_hand: number; reserved: number; version: bigint }[]>`
    select * from stock_items where product_id = any(${products}) order by array_position(${products}::uuid[], product_id)`;
  const history = await sql<{ product_id: string; version: bigint; on_hand: bigint; reserved: bigint }[]>`
    select product_id, version, sum(sum(on_hand_delta)) over w::bigint as on_hand, sum(sum(reserved_delta)) over w::bigint as reserved
    from stock_ledger where product_id = any(${products}) group by product_id, version window w as (partition by product_id order by version) order by version`;
  const reservations = await sql<Reservation[]>`
    select order_id, status, lines from reservations where order_id = any(${orders})`;
  for (const { on_hand, reserved } of history) {
    expect(reserved).toBeGreaterThanOrEqual(0n);
    expect(on_hand).toBeGreaterThanOrEqual(reserved);
  }
  for (const [at, item] of items.entries()) {
    const last = history.findLast(({ product_id }) => product_id === item.product_id);
    expect(last).toEqual({
      product_id: item.product_id,
      version: item.version,
      on_hand: BigInt(item.on_hand),
      reserved: BigInt(item.reserved),
    });
    const units = (status: Status) =>
      sum(
        reservations.filter((each) => each.status === status).flatMap((each) => each.lines),
        item.product_id,
      );
    expect(units("RESERVED")).toBe(item.reserved);
    expect(item.on_hand + units("COMMITTED")).toBe((initialStock[at] ?? 0) + (adjusted[at] ?? 0));
  }
  return { items, reservations };
}

function sum(all: Line[], productId: string): number {
  return all.filter((line) => line.productId === productId).reduce((total, { quantity }) => total + quantity, 0);
}

function linesOf(world: World, wants: { product: number; quantity: number }[]) {
  return wants.map((want) => ({ productId: world.products[want.product] ?? "", quantity: want.quantity }));
}

function message<F extends Fact>(fact: F, init: BodyInit<F>): FactEnvelope {
  return factMessage(system, fact, init);
}
