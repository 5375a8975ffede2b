import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { FAKE_SECRET, type FakeStripe, signedBy, webhookOf } from "../../../tests/kit/fake-stripe/fake-stripe.ts";
import {
  EUR,
  NEXT_SECRET,
  outcome,
  type StripeBench,
  startStripeBench,
} from "../../../tests/kit/fake-stripe/stripe-bench.ts";
import type { PaymentProvider, ProviderEvent } from "./provider.ts";

let bench: StripeBench;
let provider: PaymentProvider;
let fake: FakeStripe;
beforeAll(async () => {
  bench = await startStripeBench();
  ({ provider, fake } = bench);
});
afterAll(() => fake.close());

async function eventOf(type: string): Promise<ProviderEvent | null> {
  const event = fake.events.findLast((each) => each.type === type);
  if (!event) throw new Error(`the fake has told no ${type}`);
  return provider.readEvent(Buffer.from(webhookOf(event, bench.clock.now()).body));
}

describe("webhooks", () => {
  const accepted = (body: string | Uint8Array, headers: Record<string, string>) =>
    outcome(provider.verifyWebhook(Buffer.from(body), new Headers(headers)));

  test("are taken with the old secret, the new one, or both, and with no other", async () => {
    const now = bench.clock.now();
    for (const secrets of [[FAKE_SECRET], [NEXT_SECRET], ["whsec_foreign", NEXT_SECRET]])
      expect(await accepted("{}", signedBy(secrets, "{}", now))).toBe("done");
    expect(await accepted("{}", signedBy(["whsec_foreign"], "{}", now))).toBe("InvalidArgument BAD_SIGNATURE");
    expect(await accepted("{}", {})).toBe("InvalidArgument BAD_SIGNATURE");
  });

  test("of the future are refused like those of the past", async () => {
    const at = (ms: number) => new Date(bench.clock.now().getTime() + ms);
    expect(await accepted("{}", signedBy([FAKE_SECRET], "{}", at(298_000)))).toBe("done");
    expect(await accepted("{}", signedBy([FAKE_SECRET], "{}", at(302_000)))).toBe("InvalidArgument STALE_SIGNATURE");
  });

  test("are signed byte for byte: a mark before the text or another wrong byte is another body", async () => {
    const now = bench.clock.now();
    const body = '{"name":"\ufffd"}';
    expect(await accepted(body, signedBy([FAKE_SECRET], body, now))).toBe("done");
    for (const other of [Buffer.from(`\ufeff${body}`), Buffer.from('{"name":"\xff"}', "latin1")])
      expect(await accepted(other, signedBy([FAKE_SECRET], body, now))).toBe("InvalidArgument BAD_SIGNATURE");
  });

  test("are genuine whatever is in them: whether anybody understands them is asked later", async () => {
    for (const body of ["not json", "[]", '{"type":"checkout.session.completed"}'])
      expect(await accepted(body, signedBy([FAKE_SECRET], body, bench.clock.now()))).toBe("done");
    for (const body of ["not json", '{"type":"checkout.session.completed"}'])
      expect(await outcome(provider.readEvent(Buffer.from(body)))).toBe("InvalidArgument MALFORMED_EVENT");
  });
});

describe("events", () => {
  test("a bank that takes its time tells nothing at first, then that it paid, or that it did not", async () => {
    const [good, bad] = [await bench.opened(), await bench.opened()];
    fake.pay(good.paymentId, "bank");
    expect(await eventOf("checkout.session.completed")).toBeNull();
    fake.bankPays(good.paymentId);
    expect(await eventOf("checkout.session.async_payment_succeeded")).toMatchObject({
      kind: "captured",
      paymentId: good.paymentId,
      providerReference: good.providerReference,
    });
    fake.pay(bad.paymentId, "bank");
    fake.bankRefuses(bad.paymentId);
    expect(await eventOf("checkout.session.async_payment_failed")).toMatchObject({
      kind: "declined",
      paymentId: bad.paymentId,
      reason: "the bank did not pay",
    });
  });

  test("refunds and disputes made at Stripe name the payment, and a refund of ours its own id", async () => {
    const { paymentId, providerReference } = await bench.paid();
    const made = fake.refund(paymentId, 300);
    expect(await eventOf("refund.created")).toMatchObject({
      kind: "refunded",
      paymentId,
      refundId: null,
      amount: EUR(300n),
      providerReference: made.id,
      reason: "requested_by_customer",
    });
    fake.failRefund(made.id);
    expect(await eventOf("refund.failed")).toMatchObject({ kind: "refund_failed", providerReference: made.id });
    const refundId = bench.newId();
    await provider.refund({ refundId, paymentId, providerReference, amount: EUR(100n) });
    expect(await eventOf("refund.updated")).toMatchObject({ kind: "refunded", refundId, amount: EUR(100n) });
    const dispute = fake.dispute(paymentId);
    expect(await eventOf("charge.dispute.created")).toBeNull();
    expect(await eventOf("charge.dispute.funds_withdrawn")).toMatchObject({
      kind: "disputed",
      paymentId,
      providerReference: dispute.id,
      amount: EUR(1_999n),
      reason: "fraudulent",
    });
    fake.winDispute(dispute.id);
    expect(await eventOf("charge.dispute.funds_reinstated")).toMatchObject({
      kind: "dispute_won",
      providerReference: dispute.id,
    });
  });

  test("of another system on the same account are of no interest", async () => {
    const foreign = fake.openSession({
      client_reference_id: "cart-7",
      metadata: { payment_id: "not-a-uuid" },
      intentMetadata: {},
      amount_total: 100,
      currency: "eur",
      success_url: "https://other.test",
      cancel_url: null,
    });
    fake.pay(foreign.id);
    expect(await eventOf("checkout.session.completed")).toBeNull();
    fake.refund(foreign.id);
    expect(await eventOf("refund.created")).toBeNull();
    for await (const entry of provider.statement(60_000)) expect(entry.providerReference).not.toBe(foreign.id);
  });

  test("the statement shows a failed refund, a dispute and one that was won as they are now, over many pages", async () => {
    bench.clock.advance(86_400_000);
    const many = await Promise.all(Array.from({ length: 120 }, bench.paid));
    const [first, second, third] = many;
    fake.failRefund(fake.refund(first?.paymentId ?? "").id);
    fake.dispute(second?.paymentId ?? "", 1_000);
    fake.winDispute(fake.dispute(third?.paymentId ?? "").id);
    fake.dispute(third?.paymentId ?? "", 1_999, "inquiry");
    const kinds = new Map<string, number>();
    for await (const { kind } of provider.statement(60_000)) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    expect(Object.fromEntries(kinds)).toEqual({ captured: 120, refund_failed: 1, disputed: 1, dispute_won: 1 });
  });
});
