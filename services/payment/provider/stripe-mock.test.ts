// Whether our requests, and our fake's answers, have the shape that Stripe describes: stripe-mock knows the description, not us.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { drivenClock, systemClock } from "../../../packages/time/clock.ts";
import { systemRandom } from "../../../packages/time/random.ts";
import { freePort } from "../../../scripts/copy/ports.ts";
import { buildStripeMock, stripeMockAbsent } from "../../../scripts/servers/stripe-mock.ts";
import { eventually } from "../../../tests/kit/eventually.ts";
import { FAKE_KEY, FAKE_SECRET, type FakeStripe, startFakeStripe } from "../../../tests/kit/fake-stripe/fake-stripe.ts";
import { promisesOf } from "../../../tests/kit/promise.ts";
import { createStripeProvider } from "./stripe.ts";

const BUILD_MS = 300_000;
const absent = stripeMockAbsent();
const promise = promisesOf("payment provider", "stripe-mock", absent);
const newId = systemRandom(systemClock()).id;
const AMOUNT = { currencyCode: "EUR", minorUnits: 1_999n };

let url = "";
let stop = async () => {};

beforeAll(async () => {
  if (absent) return;
  const program = await buildStripeMock();
  const port = await freePort();
  const child = Bun.spawn([program, "-http-addr", `127.0.0.1:${port}`], { stdout: "ignore", stderr: "ignore" });
  stop = async () => {
    child.kill();
    await child.exited;
  };
  url = `http://127.0.0.1:${port}`;
  const answers = () => ask(url, "GET", "/v1/refunds").then(({ status }) => status === 200, notYet);
  await eventually(answers);
}, BUILD_MS);
afterAll(() => stop());

/** Nobody listens before it has read the description. */
function notYet(error: unknown): false {
  if (error instanceof Error && "code" in error && error.code === "ECONNREFUSED") return false;
  throw error;
}

async function ask(base: string, method: string, path: string, body?: string) {
  const headers = { authorization: `Bearer ${FAKE_KEY}`, "content-type": "application/x-www-form-urlencoded" };
  const response = await fetch(`${base}${path}`, { method, headers, ...(body !== undefined && { body }) });
  // Stripe answers with an object or an error; the test looks.
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

const providerAt = (apiBase: string) =>
  createStripeProvider({
    secretKey: FAKE_KEY,
    webhookSecrets: [FAKE_SECRET],
    apiBase,
    publicUrl: "https://shop.test",
    clock: systemClock(),
  });

describe("stripe-mock", () => {
  promise("every request in the life of a checkout is one that Stripe describes", async () => {
    const fake = await startFakeStripe();
    await wholeLife(fake);
    const paths = fake.calls.map(({ method, url: path }) => `${method} ${path.replace(/(cs|pi)_test_\d+|\?.*/g, "")}`);
    expect([...new Set(paths)].toSorted()).toEqual([
      "GET /v1/checkout/sessions",
      "GET /v1/checkout/sessions/",
      "GET /v1/disputes",
      "GET /v1/payment_intents/",
      "GET /v1/refunds",
      "POST /v1/checkout/sessions",
      "POST /v1/checkout/sessions//expire",
      "POST /v1/refunds",
    ]);
    for (const { method, url: path, body } of fake.calls) {
      const { status, body: said } = await ask(url, method, path, method === "GET" ? undefined : body);
      expect([method, path, status, status === 200 || said]).toEqual([method, path, 200, true]);
    }
    await fake.close();
  });

  promise("a request with a parameter that Stripe does not describe is refused, by it and by our fake", async () => {
    const fake = await startFakeStripe();
    const form = "payment_intent=pi_1&amount=1&colour=red";
    for (const base of [url, fake.url]) expect((await ask(base, "POST", "/v1/refunds", form)).status).toBe(400);
    await fake.close();
  });

  promise("what our fake answers has no field, and no kind of value, that Stripe's own objects lack", async () => {
    const clock = drivenClock(new Date("2026-01-05T08:00:00Z"));
    const fake = await startFakeStripe(clock.now);
    const paths = await everyKind(fake);
    for (const path of paths) {
      const [ours, theirs] = await Promise.all([ask(fake.url, "GET", path), ask(url, "GET", path)]);
      expect([path, ours.status, theirs.status]).toEqual([path, 200, 200]);
      expect({ path, lacking: lacking(firstOf(ours.body), firstOf(theirs.body)) }).toEqual({ path, lacking: [] });
    }
    await fake.close();
  });
});

/** All that the adapter may ask of Stripe. */
async function wholeLife(fake: FakeStripe): Promise<void> {
  const provider = providerAt(fake.url);
  const paymentId = newId();
  const order = { paymentId, orderId: newId(), amount: AMOUNT };
  const { providerReference } = await provider.createCheckout(order);
  fake.pay(paymentId);
  await provider.closeCheckout(providerReference);
  await provider.refund({ refundId: newId(), paymentId, providerReference, amount: AMOUNT });
  const told = fake.events.findLast(({ type }) => type === "refund.updated");
  await provider.readEvent(Buffer.from(JSON.stringify(told)));
  for await (const _ of provider.statement(60_000));
}

/** A path for each kind of object, with one of it behind. */
async function everyKind(fake: FakeStripe): Promise<string[]> {
  const paymentId = newId();
  const provider = providerAt(fake.url);
  const { providerReference } = await provider.createCheckout({ paymentId, orderId: newId(), amount: AMOUNT });
  fake.pay(paymentId);
  fake.refund(paymentId, 100);
  fake.dispute(paymentId, 100, "inquiry");
  const { payment_intent } = fake.sessionOf(paymentId);
  return [
    `/v1/checkout/sessions/${providerReference}`,
    "/v1/checkout/sessions",
    `/v1/payment_intents/${payment_intent}`,
    "/v1/refunds",
    "/v1/disputes",
  ];
}

function firstOf(body: Record<string, unknown>): Record<string, unknown> {
  const { data } = body;
  // A list's items are objects.
  return Array.isArray(data) ? (data[0] as Record<string, unknown>) : body;
}

/** Fields of ours that theirs have not, or have with another kind of value; null fits everywhere. */
function lacking(ours: Record<string, unknown>, theirs: Record<string, unknown>): string[] {
  return Object.entries(ours)
    .filter(([name, value]) => !(name in theirs) || !alike(value, theirs[name]))
    .map(([name]) => name);
}

const kindOf = (value: unknown) => (Array.isArray(value) ? "list" : typeof value);
const alike = (one: unknown, other: unknown) => one === null || other === null || kindOf(one) === kindOf(other);

test("the comparison of shapes finds a field too much and a value of another kind", () => {
  expect(lacking({ id: "a", amount: 1, colour: "red" }, { id: "b", amount: "1" })).toEqual(["amount", "colour"]);
});
