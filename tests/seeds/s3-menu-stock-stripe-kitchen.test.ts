// Seed 3: an order goes through menu, stock, Stripe and kitchen. The program is the real one, as anybody starts it; Stripe is our fake.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { DescService } from "@bufbuild/protobuf";
import { type Client, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { AuthService } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { OrderService, OrderStatus, Reservation } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { PaymentService, PaymentStatus } from "../../packages/api/gen/bodega/payment/v1/payment_pb.ts";
import { ProductService } from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import { StockService } from "../../packages/api/gen/bodega/stock/v1/stock_pb.ts";
import { codeFor, mailsTo } from "../../scripts/copy/mails.ts";
import { freePorts } from "../../scripts/copy/ports.ts";
import { type Copy, startCopy } from "../../scripts/copy/start.ts";
import { eventually } from "../kit/eventually.ts";
import { type FakeStripe, startFakeStripe, webhookOf } from "../kit/fake-stripe/fake-stripe.ts";
import { scratchFolder } from "../kit/scratch.ts";
import { stripeVariables } from "../kit/services/stripe.ts";

setDefaultTimeout(180_000);
const ADMIN = { email: "admin@bodega.test", password: "four hungry horses" };
const ANN = { email: "ann@bodega.test", password: "five hungry horses", displayName: "Ann" };

const folder = scratchFolder("bodega-seed-3-");
let program: Copy;
let fake: FakeStripe;
let edge: string;
let catcher: string;
beforeAll(async () => {
  fake = await startFakeStripe();
  const ports = await freePorts();
  edge = `http://127.0.0.1:${ports["PORT"]}`;
  catcher = `http://127.0.0.1:${ports["MAIL_PORT"]}`;
  const admin = { ADMIN_EMAIL: ADMIN.email, ADMIN_PASSWORD: ADMIN.password };
  const env = { ...ports, ...admin, ...stripeVariables(fake), DATA_DIR: join(folder, "data"), DEMO: "off" };
  program = startCopy({ env, logFile: join(folder, "log") });
  await program.open();
});
afterAll(async () => {
  await program.end();
  await fake.close();
  rmSync(folder, { recursive: true, force: true });
});

function as<S extends DescService>(token: string, service: S): Client<S> {
  const authorized: typeof fetch = Object.assign(
    (input: Parameters<typeof fetch>[0], init?: RequestInit) => {
      const headers = new Headers(init?.headers);
      if (token) headers.set("authorization", `Bearer ${token}`);
      return fetch(input, { ...init, headers });
    },
    { preconnect: fetch.preconnect },
  );
  return createClient(service, createConnectTransport({ baseUrl: edge, fetch: authorized }));
}

const login = async (who: { email: string; password: string }) =>
  (await as("", AuthService).login({ email: who.email, password: who.password })).accessToken;

/** As `stripe listen --forward-to` does, and as Stripe does when it is in doubt: each event twice. */
async function forwardEvents(): Promise<void> {
  for (const event of fake.events.splice(0)) {
    for (const _ of [1, 2]) {
      const { body, headers } = webhookOf(event, new Date());
      const { status } = await fetch(`${edge}/webhooks/stripe`, { method: "POST", body, headers });
      expect(status).toBe(200);
    }
  }
}

test("an order through menu, stock, Stripe and kitchen; one that is cancelled; and the books at the end", async () => {
  expect(program.said()).toContain(`Stripe in test mode, webhooks ${edge}/webhooks/stripe`);
  const admin = await login(ADMIN);
  const { product } = await as(admin, ProductService).createProduct({
    requestId: "burger",
    sku: "SEED-3-BURGER",
    name: "Burger",
    price: { currencyCode: "EUR", minorUnits: 850n },
    collections: ["menu"],
    prepared: true,
    initialStock: 20,
  });
  const productId = product?.productId ?? "";
  await as("", AuthService).register(ANN);
  await as("", AuthService).verifyEmail({ email: ANN.email, code: await codeFor(catcher, ANN.email) });
  const ann = await login(ANN);
  const orders = as(ann, OrderService);
  const payments = as(ann, PaymentService);

  // Menu.
  const menu = () => as("", ProductService).listProducts({ collection: "menu" });
  await eventually(async () => (await menu()).products[0]?.available === 20);

  // Stock: all lines are held before anybody can pay.
  async function reserve(requestId: string): Promise<string> {
    const { order } = await orders.placeOrder({ requestId, lines: [{ productId, quantity: 2 }] });
    const orderId = order?.orderId ?? "";
    await eventually(async () => (await orders.getOrder({ orderId })).order?.reservation === Reservation.RESERVED);
    return orderId;
  }
  const statusOf = async (orderId: string) => (await orders.getOrder({ orderId })).order?.status;
  const orderId = await reserve("first");

  // Stripe.
  const { payment } = await payments.startPayment({ orderId });
  const paymentId = payment?.paymentId ?? "";
  expect(payment).toMatchObject({ provider: "stripe", status: PaymentStatus.PENDING, amount: { minorUnits: 1_700n } });
  expect(payment?.checkoutUrl).toBe(fake.sessionOf(paymentId).url ?? "");
  fake.pay(paymentId);
  await forwardEvents();

  // Kitchen: the simulated staff make it and hand it over.
  await eventually(async () => (await statusOf(orderId)) === OrderStatus.COMPLETED);
  expect(await (await fetch(`${edge}/pay/${paymentId}`)).text()).toContain("Your payment was taken");
  expect((await as(admin, StockService).getStock({ productId })).stock).toMatchObject({ onHand: 18, reserved: 0 });
  await eventually(async () => (await mailsTo(catcher, ANN.email)).some(({ subject }) => /completed/i.test(subject)));

  // Somebody at Stripe gives a part back.
  fake.refund(paymentId, 200);
  await forwardEvents();
  const refunded = async () => (await payments.getPayment({ paymentId })).payment?.refunded?.minorUnits;
  await eventually(async () => (await refunded()) === 200n);

  // An order that ends has no open checkout; who paid in the last moment gets it back.
  const [open, late] = [await reserve("second"), await reserve("third")];
  const openId = (await payments.startPayment({ orderId: open })).payment?.paymentId ?? "";
  const lateId = (await payments.startPayment({ orderId: late })).payment?.paymentId ?? "";
  fake.pay(lateId);
  for (const id of [open, late]) await orders.cancelOrder({ orderId: id });
  await eventually(() => fake.sessionOf(openId).status === "expired");
  await forwardEvents();
  await eventually(() => fake.balances().get(lateId)?.refunded === 1_700);
  await forwardEvents();
  await eventually(
    async () => (await payments.getPayment({ paymentId: lateId })).payment?.status === PaymentStatus.REFUNDED,
  );
  expect((await payments.getPayment({ paymentId: openId })).payment?.status).toBe(PaymentStatus.ABANDONED);

  // Both books, to the cent.
  const { differences, entriesChecked } = await as(admin, PaymentService).reconcile({});
  expect(differences).toEqual([]);
  expect(entriesChecked).toBe(5);
  const { payments: all } = await payments.listPayments({});
  const kept = all
    .filter(({ capturedAt }) => capturedAt)
    .map((each) => [
      each.paymentId,
      Number(each.amount?.minorUnits),
      Number(each.refunded?.minorUnits),
      Number(each.disputed?.minorUnits),
    ]);
  const theirs = [...fake.balances()].map(([id, { captured, refunded: back, disputed }]) => [
    id,
    captured,
    back,
    disputed,
  ]);
  expect(kept.toSorted()).toEqual(theirs.toSorted());
});
