import { afterAll, beforeAll, expect, test } from "bun:test";
import { type PaymentSystem, providerEvent, startPaymentSystem } from "../../../tests/kit/services/payment.ts";
import { readConfig } from "../config.ts";
import { providerContract } from "./contract.ts";
import { createEmbeddedProvider, decideCheckout, signedHeaders } from "./embedded.ts";

providerContract("embedded", async () => {
  const system = await startPaymentSystem();
  const { payment } = system;
  const sent: { body: string; headers: Record<string, string> }[] = [];
  payment.config.deliver = async (body, headers) => {
    sent.push({ body, headers });
    return new Response();
  };
  const webhook = ({ body, headers }: { body: string; headers: Record<string, string> }) => ({
    body: Buffer.from(body),
    headers: new Headers(headers),
  });
  return {
    provider: createEmbeddedProvider(payment),
    newId: system.random.id,
    async decide(paymentId, kind) {
      await decideCheckout(payment, paymentId, kind);
      await system.settle();
      const last = sent.at(-1);
      if (!last) throw new Error("no webhook was sent");
      return webhook(last);
    },
    async redeliver({ body }) {
      const text = Buffer.from(body).toString();
      return webhook({ body: text, headers: await signedHeaders(payment, text) });
    },
    wait: system.clock.advance,
    canBePaid: async (paymentId) => (await (await system.http(`/pay/${paymentId}`)).text()).includes("<form"),
    async givenBack(reference) {
      const rows = await payment.sql<
        { amount_minor_units: bigint }[]
      >`select amount_minor_units from provider_refunds where provider_reference = ${reference}`;
      return rows.map((row) => row.amount_minor_units);
    },
    close: system.close,
  };
});

let system: PaymentSystem;
beforeAll(async () => {
  system = await startPaymentSystem();
});
afterAll(() => system.close());

test("the pay page shows amount and order, and is a form that needs no script", async () => {
  const { paymentId, orderId } = await system.started();
  const answer = await system.http(`/pay/${paymentId}`);
  const html = await answer.text();
  expect(answer.status).toBe(200);
  expect(html).toContain("€19.99");
  expect(html).toContain(orderId);
  expect(html).toContain(`<form method="post" action="/pay/${paymentId}">`);
  for (const outcome of ["succeeded", "declined", "abandoned"])
    expect(html).toContain(`name="outcome" value="${outcome}"`);
  expect(html).not.toContain("<script");
  expect(answer.headers.get("content-security-policy")).toContain("default-src 'none'");
  expect(answer.headers.get("cache-control")).toBe("no-store");
});

test("what a page shows is escaped", async () => {
  const { NoticePage } = await import("./pay-page.tsx");
  expect(String(NoticePage({ title: "<b>", text: `"><script>alert(1)</script>` }))).not.toMatch(/<b>|<script/);
});

test("an order id with markup in it cannot get onto the page: unknown and malformed payments are not found", async () => {
  for (const id of [system.random.id(), "1", "%3Cscript%3E", "..%2F.."]) {
    const [get, post] = [
      await system.http(`/pay/${id}`),
      await system.http(`/pay/${id}`, { method: "POST", body: new URLSearchParams({ outcome: "succeeded" }) }),
    ];
    expect([get.status, post.status]).toEqual([404, 404]);
    expect(await get.text()).not.toContain("<script");
  }
});

test("an outcome nobody knows is refused and decides nothing", async () => {
  const { paymentId } = await system.started();
  for (const outcome of ["", "captured", "constructor", "SUCCEEDED"]) {
    expect(
      (await system.http(`/pay/${paymentId}`, { method: "POST", body: new URLSearchParams({ outcome }) })).status,
    ).toBe(400);
  }
  await system.settle();
  expect((await system.rowOf(paymentId)).status).toBe("PENDING");
});

test("paying twice on the page is one capture", async () => {
  const { paymentId } = await system.started();
  await Promise.all([system.decide(paymentId, "succeeded"), system.decide(paymentId, "succeeded")]);
  await system.decide(paymentId, "succeeded");
  await system.decide(paymentId, "declined");
  const events = await system.payment.sql`select kind from provider_events where payment_id = ${paymentId}`;
  expect(events.map((row) => row["kind"])).toEqual(["captured"]);
  expect(await (await system.http(`/pay/${paymentId}`)).text()).toContain("Payment succeeded");
});

test("a webhook that is not heard is told again, later and later, signed anew, and takes effect once", async () => {
  const { paymentId } = await system.started();
  const seen: string[] = [];
  const at: number[] = [];
  const { config } = system.payment;
  config.deliver = async (_body, headers) => {
    seen.push(headers["bodega-signature"] ?? "");
    at.push(system.clock.now().getTime());
    if (seen.length === 1) throw new Error("connection refused");
    return new Response(null, { status: 503 });
  };
  await system.decide(paymentId, "succeeded");
  expect(seen.length).toBeGreaterThanOrEqual(3);
  expect(new Set(seen.slice(-3)).size).toBe(3);
  const pauses = at.slice(1, 5).map((time, index) => time - (at[index] ?? 0));
  expect(pauses).toEqual(pauses.toSorted((a, b) => a - b));
  delete config.deliver;
  expect((await system.rowOf(paymentId)).status).toBe("PENDING");
  await system.advance(45_000);
  expect((await system.rowOf(paymentId)).status).toBe("CAPTURED");
});

test("a webhook bigger than 64 KiB is refused unread", async () => {
  const body = JSON.stringify({ ...providerEvent("captured", system.random.id()), filler: "x".repeat(64 * 1024) });
  const answer = await system.http("/webhooks/embedded", {
    method: "POST",
    body,
    headers: await signedHeaders(system.payment, body),
  });
  expect(answer.status).toBe(413);
});

test("the webhook of a provider that is not in use is not there", async () => {
  expect((await system.http("/webhooks/stripe", { method: "POST", body: "{}" })).status).toBe(404);
});

test("the configuration refuses what it cannot honour, and names it", () => {
  expect(readConfig({ PORT: "9000" }).publicUrl).toBe("http://127.0.0.1:9000");
  expect(readConfig({ PUBLIC_URL: "", PORT: "", EMBEDDED_WEBHOOK_SECRET: "" }).publicUrl).toBe("http://127.0.0.1:8080");
  expect(() => readConfig({ STRIPE_SECRET_KEY: "sk_test_1" })).toThrow("STRIPE_SECRET_KEY");
  expect(() => readConfig({ PUBLIC_URL: "https://shop.test/" })).toThrow("PUBLIC_URL");
  expect(() => readConfig({ EMBEDDED_WEBHOOK_SECRET: "short" })).toThrow("EMBEDDED_WEBHOOK_SECRET");
});
