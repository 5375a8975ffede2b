// What happens to six orders in a day: paid, declined and paid, paid with nothing to cook, given back, forgotten, out of stock.

import { Code, ConnectError } from "@connectrpc/connect";
import {
  CancelReasonSchema,
  type Order,
  OrderService,
  OrderStatus,
  OrderStatusSchema,
  Reservation,
} from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { PaymentService } from "../../packages/api/gen/bodega/payment/v1/payment_pb.ts";
import { type Product, ProductService } from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import { StockService } from "../../packages/api/gen/bodega/stock/v1/stock_pb.ts";
import { moneyText } from "../../packages/api/money.ts";
import { mailsTo } from "../copy/mails.ts";
import { logIn, openStage, type Person, type Stage, signUp, type Telling, tellingFor } from "./stage.ts";

const LOOK_MS = 150;
const LAST_MAILS_MS_MAX = 15_000;
/** Slower than this, a day is too long to watch. */
const SCALE_MIN = 600;

interface Scene {
  stage: Stage;
  telling: Telling;
  products: Map<string, Product>;
  orders: Map<string, Order>;
}

/** Plays, sums up, and gives the exit code: 0 when every order ended as it should and the books agree. */
export async function demo(): Promise<number> {
  console.log("\n  Bodega: a day in the life of some orders. An hour is a second.\n");
  const stage = await openStage();
  try {
    if (stage.scale < SCALE_MIN)
      throw new Error(
        `the copy at ${stage.edge} must run with TIME_SCALE of at least ${SCALE_MIN}, found ${stage.scale}: start it so, and say so here`,
      );
    const admin = stage.admin && (await logIn(stage, "Admin", stage.admin.email, stage.admin.password));
    const people = await Promise.all(["Ada", "Ben", "Cleo", "Dora", "Eve", "Finn"].map((name) => signUp(stage, name)));
    const telling = tellingFor(stage);
    telling.say("", "six customers have signed up, each with a code from their mails", "quiet");
    return await play(stage, telling, people, admin);
  } finally {
    await stage.close();
  }
}

async function play(stage: Stage, telling: Telling, people: Person[], admin: Person | null): Promise<number> {
  const [ada, ben, cleo, dora, eve, finn] = people;
  if (!ada || !ben || !cleo || !dora || !eve || !finn) throw new Error("the demo needs six people");
  const { products } = await ada.as(ProductService).listProducts({});
  const scene: Scene = {
    stage,
    telling,
    products: new Map(products.map((each) => [each.sku, each])),
    orders: new Map(),
  };
  const over = new AbortController();
  const mails = Promise.all(people.map((person) => readMails(scene, person, over.signal)));
  const before = await available(scene, ada);

  await Promise.all([
    lives(scene, ada, { "DEMO-BURGER": 2, "DEMO-LEMONADE": 2 }, 0.3, ["succeeded"]),
    lives(scene, dora, { "DEMO-TSHIRT": 6, "DEMO-COFFEE": 1 }, 1, []),
    lives(scene, cleo, { "DEMO-MUG": 4 }, 1.6, ["succeeded"]),
    lives(scene, ben, { "DEMO-FALAFEL": 1, "DEMO-CHIPS": 1 }, 4.5, ["declined", "succeeded"]),
    lives(scene, eve, { "DEMO-TSHIRT": 900 }, 8, []),
    admin ? givenBack(scene, finn, admin, { "DEMO-COFFEE": 3 }, 9.5) : undefined,
  ]);
  await lastMails(scene, people);
  over.abort();
  const sent = (await mails).reduce((sum, count) => sum + count, 0);
  return sumUp(scene, sent, before, await available(scene, ada), admin);
}

/** Orders at an hour, and tries to pay some hours later, with these outcomes one after the other; without any, forgets. */
async function lives(scene: Scene, person: Person, cart: Record<string, number>, hour: number, outcomes: string[]) {
  await scene.telling.hour(hour);
  const { orderId, ended } = await place(scene, person, cart);
  for (const [index, outcome] of outcomes.entries()) {
    await scene.telling.hour(hour + 1.5 * (index + 1));
    await pay(scene, person, orderId, outcome);
  }
  await ended;
}

async function givenBack(scene: Scene, person: Person, admin: Person, cart: Record<string, number>, hour: number) {
  await scene.telling.hour(hour);
  const { orderId, ended } = await place(scene, person, cart);
  await scene.telling.hour(hour + 1);
  await pay(scene, person, orderId, "succeeded");
  await scene.telling.hour(hour + 4);
  scene.telling.say("Admin", `cancels ${person.name}'s order, which is paid`);
  await admin.as(OrderService).cancelOrder({ orderId });
  await ended;
}

async function place(scene: Scene, person: Person, cart: Record<string, number>) {
  const lines = Object.entries(cart).map(([sku, quantity]) => ({ product: product(scene, sku), quantity }));
  const { order } = await person.as(OrderService).placeOrder({
    requestId: crypto.randomUUID(),
    lines: lines.map(({ product: { productId }, quantity }) => ({ productId, quantity })),
  });
  if (!order) throw new Error("an order was placed, but not answered");
  const goods = lines.map(({ product: { name }, quantity }) => `${quantity} × ${name}`).join(", ");
  scene.telling.say(person.name, `orders ${goods}: ${amount(order)}`);
  return { orderId: order.orderId, ended: follow(scene, person, order) };
}

/** Says what the order's stream says, until it has reached its end. */
async function follow({ telling, orders }: Scene, person: Person, placed: Order) {
  let last = placed;
  for await (const { order } of person.as(OrderService).watchOrder({ orderId: placed.orderId })) {
    if (!order) continue;
    const held = HELD[order.reservation];
    if (order.reservation !== last.reservation && held) telling.say(person.name, held, "quiet");
    if (order.status !== last.status) telling.say(person.name, ...became(order));
    last = order;
  }
  orders.set(person.name, last);
}

const HELD: Record<number, string> = {
  [Reservation.RESERVED]: "stock is reserved",
  [Reservation.RELEASED]: "stock is for sale again",
  [Reservation.COMMITTED]: "stock is sold",
};

function became({ status, cancelReason }: Order): [string, "good" | "bad" | "plain"] {
  const word = OrderStatusSchema.value[status]?.localName ?? "";
  if (status === OrderStatus.COMPLETED) return [`order is ${word}`, "good"];
  if (status !== OrderStatus.CANCELLED) return [`order is ${word}`, "plain"];
  return [`order is ${word}: ${CancelReasonSchema.value[cancelReason]?.localName}`, "bad"];
}

async function pay({ stage, telling }: Scene, person: Person, orderId: string, outcome: string) {
  const url = await checkout(person, orderId);
  telling.say(person.name, outcome === "succeeded" ? "pays" : `tries to pay, and is ${outcome}`);
  const reply = await fetch(url, { method: "POST", body: new URLSearchParams({ outcome }) });
  if (!reply.ok) throw new Error(`the pay page at ${stage.edge} answered ${reply.status}`);
}

/** The stock may be on its way to be reserved, or the payment before on its way to be declined: then the answer is to ask again. */
async function checkout(person: Person, orderId: string): Promise<string> {
  for (let tries = 1; ; tries += 1) {
    try {
      const { payment } = await person.as(PaymentService).startPayment({ orderId });
      if (payment?.checkoutUrl) return payment.checkoutUrl;
    } catch (error) {
      const { code } = ConnectError.from(error);
      if (tries > 50 || (code !== Code.FailedPrecondition && code !== Code.Aborted)) throw error;
    }
    await Bun.sleep(LOOK_MS);
  }
}

/** Says each mail when it comes, and counts them. */
async function readMails({ stage, telling }: Scene, person: Person, over: AbortSignal): Promise<number> {
  const seen = new Set((await mailsTo(stage.catcher, person.email)).map(({ id }) => id));
  const known = seen.size;
  while (!over.aborted) {
    for (const { id, subject } of (await mailsTo(stage.catcher, person.email)).toReversed()) {
      if (!seen.has(id)) telling.say(person.name, `mail: ${subjectLine(subject)}`, "quiet");
      seen.add(id);
    }
    await Bun.sleep(LOOK_MS);
  }
  return seen.size - known;
}

function subjectLine(subject: string): string {
  return subject.split(/:| order /)[0] ?? subject;
}

/** The last mail follows the last move by a moment. */
async function lastMails({ stage, orders }: Scene, people: Person[]) {
  const expected = ({ status, paidAt }: Order) => [
    status === OrderStatus.COMPLETED ? "Order completed" : "Order cancelled",
    ...(status === OrderStatus.CANCELLED && paidAt ? ["Refund"] : []),
  ];
  for (const end = performance.now() + LAST_MAILS_MS_MAX; performance.now() < end; await Bun.sleep(LOOK_MS)) {
    const missing = await Promise.all(
      people.map(async (person) => {
        const order = orders.get(person.name);
        const subjects = (await mailsTo(stage.catcher, person.email)).map(({ subject }) => subject);
        return (
          order !== undefined && !expected(order).every((word) => subjects.some((subject) => subject.startsWith(word)))
        );
      }),
    );
    if (!missing.includes(true)) return;
  }
  throw new Error(`not every last mail came within ${LAST_MAILS_MS_MAX / 1_000} s`);
}

async function available({ products }: Scene, person: Person): Promise<Map<string, number>> {
  const lines = Array.from(products.values(), ({ productId }) => ({ productId, quantity: 0 }));
  const reply = await person.as(StockService).checkAvailability({ lines });
  return new Map(reply.lines.map((line) => [line.productId, line.available]));
}

async function sumUp(
  { orders }: Scene,
  mails: number,
  before: Map<string, number>,
  after: Map<string, number>,
  admin: Person | null,
): Promise<number> {
  const all = [...orders.values()];
  const completed = all.filter(({ status }) => status === OrderStatus.COMPLETED);
  const sold = new Map<string, number>();
  for (const { productId, quantity } of completed.flatMap(({ lines }) => lines))
    sold.set(productId, (sold.get(productId) ?? 0) + quantity);
  const exact = [...before].every(([id, count]) => after.get(id) === count - (sold.get(id) ?? 0));
  const units = [...sold.values()].reduce((sum, count) => sum + count, 0);
  const books = admin && (await admin.as(StockService).reconcile({}));
  const agree = !books || books.differences.length === 0;
  console.log(`
  ${all.length} orders: ${completed.length} completed, ${all.length - completed.length} cancelled; ${mails} mails
  ${units} units sold, and ${exact ? "exactly these" : "NOT exactly these"} are gone from the shelf
  ${books ? `the stock ledger of ${books.productsChecked} products ${agree ? "adds up" : `has ${books.differences.length} DIFFERENCES`}` : "no admin password: the ledger was not asked"}
`);
  return exact && agree && all.every(({ status }) => status !== OrderStatus.PENDING) ? 0 : 1;
}

function product({ products }: Scene, sku: string): Product {
  const found = products.get(sku);
  if (!found) throw new Error(`there is no product ${sku}: the demo wants DEMO=on at the first start`);
  return found;
}

function amount({ total }: Order): string {
  return total ? moneyText(total) : "nothing";
}
