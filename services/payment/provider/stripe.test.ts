import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type FakeStripe, type Fault, webhookOf } from "../../../tests/kit/fake-stripe/fake-stripe.ts";
import { EUR, outcome, type StripeBench, startStripeBench } from "../../../tests/kit/fake-stripe/stripe-bench.ts";
import { providerContract } from "./contract.ts";
import type { Outcome, PaymentProvider } from "./provider.ts";

const ACTS: Record<Outcome, (fake: FakeStripe, paymentId: string) => void> = {
  captured: (fake, paymentId) => fake.pay(paymentId),
  declined(fake, paymentId) {
    fake.pay(paymentId, "bank");
    fake.bankRefuses(paymentId);
  },
  abandoned: (fake, paymentId) => fake.expire(paymentId),
};

providerContract("stripe", async () => {
  const { clock, fake, provider, newId } = await startStripeBench();
  const webhook = ({ body, headers }: { body: string; headers: Record<string, string> }) => ({
    body: Buffer.from(body),
    headers: new Headers(headers),
  });
  return {
    provider,
    newId,
    async decide(paymentId, kind) {
      ACTS[kind](fake, paymentId);
      return webhook(webhookOf(fake.events.at(-1) ?? {}, clock.now()));
    },
    redeliver: async ({ body }) =>
      webhook(webhookOf({ ...JSON.parse(Buffer.from(body).toString()), pending_webhooks: 0 }, clock.now())),
    wait: clock.advance,
    canBePaid: async (paymentId) => fake.sessionOf(paymentId).status === "open",
    async givenBack(reference) {
      const { payment_intent } = fake.sessionOf(reference);
      const made = [...fake.refunds.values()].filter((each) => each.payment_intent === payment_intent);
      return made.map(({ amount }) => BigInt(amount));
    },
    close: fake.close,
  };
});

let bench: StripeBench;
let provider: PaymentProvider;
let fake: FakeStripe;
beforeAll(async () => {
  bench = await startStripeBench();
  ({ provider, fake } = bench);
});
afterAll(() => fake.close());

/** The first `times` calls of this path go wrong. */
function disturbed(path: RegExp, fault: Fault, times = 1): void {
  let left = times;
  fake.disturb((method, at) => (method === "POST" && path.test(at) && left-- > 0 ? fault : undefined));
}

describe("a call whose answer is lost", () => {
  for (const fault of ["fault-before", "fault-after", "cut-after"] as const) {
    test(`a checkout: ${fault}, and there is one page for the customer`, async () => {
      disturbed(/sessions$/, fault);
      const { paymentId, checkoutUrl } = await bench.opened();
      expect(checkoutUrl).toBe(fake.sessionOf(paymentId).url ?? "");
    });

    test(`a refund: ${fault}, and the money goes back once`, async () => {
      const { paymentId, providerReference, amount } = await bench.paid();
      disturbed(/refunds$/, fault);
      const refund = { refundId: bench.newId(), paymentId, providerReference, amount };
      await provider.refund(refund);
      await provider.refund(refund);
      expect(fake.balances().get(paymentId)).toEqual({ captured: 1_999, refunded: 1_999, disputed: 0 });
    });
  }

  test("is said to be unknown while Stripe gives none, so that it is asked again under the same key", async () => {
    const { paymentId, providerReference, amount } = await bench.paid();
    const refund = { refundId: bench.newId(), paymentId, providerReference, amount };
    fake.disturb(() => "busy");
    expect(await outcome(provider.refund(refund))).toBe("Unavailable PROVIDER_UNAVAILABLE");
    fake.disturb((method) => (method === "POST" ? "hang" : undefined));
    expect(await outcome(provider.refund(refund))).toBe("Unavailable PROVIDER_UNAVAILABLE");
    fake.disturb(() => undefined);
    expect(await outcome(provider.refund(refund))).toBe("done");
    expect(fake.balances().get(paymentId)?.refunded).toBe(1_999);
  });

  test("a Stripe that answers with a 500 to whatever it is asked leaves neither a checkout nor a refund stuck when it is well again", async () => {
    const order = { paymentId: bench.newId(), orderId: bench.newId(), amount: EUR(1_999n) };
    const { paymentId, providerReference, amount } = await bench.paid();
    const refund = { refundId: bench.newId(), paymentId, providerReference, amount };
    fake.disturb((method) => (method === "POST" ? "fault-before" : undefined));
    for (let call = 0; call < 5; call++) {
      expect(await outcome(provider.createCheckout(order))).toBe("Unavailable PROVIDER_UNAVAILABLE");
      expect(await outcome(provider.refund(refund))).toBe("Unavailable PROVIDER_UNAVAILABLE");
    }
    fake.disturb(() => undefined);
    expect(await outcome(provider.createCheckout(order))).toBe("done");
    expect(await outcome(provider.refund(refund))).toBe("done");
    expect(fake.sessionOf(order.paymentId).status).toBe("open");
    expect(fake.balances().get(paymentId)?.refunded).toBe(1_999);
  });

  test("of a Stripe that is not there is unknown too", async () => {
    const nowhere = bench.providerWith({ apiBase: "http://127.0.0.1:9" });
    const order = { paymentId: bench.newId(), orderId: bench.newId(), amount: EUR(1n) };
    expect(await outcome(nowhere.createCheckout(order))).toBe("Unavailable PROVIDER_UNAVAILABLE");
  });

  test("a refund that is asked for again when its key is long forgotten goes back once", async () => {
    const { paymentId, providerReference } = await bench.paid();
    const refund = { refundId: bench.newId(), paymentId, providerReference, amount: EUR(500n) };
    await provider.refund(refund);
    bench.clock.advance(7 * 86_400_000);
    await provider.refund(refund);
    expect(fake.balances().get(paymentId)?.refunded).toBe(500);
  });
});

describe("what is final", () => {
  test("a refund of more than is left has nothing to refund; a checkout nobody knows is refused; a wrong key is not", async () => {
    const { paymentId, providerReference } = await bench.paid();
    const refund = { refundId: bench.newId(), paymentId, providerReference, amount: EUR(2_000n) };
    expect(await outcome(provider.refund(refund))).toBe("FailedPrecondition NOTHING_TO_REFUND");
    fake.refund(paymentId);
    const rest = { ...refund, refundId: bench.newId(), amount: EUR(1n) };
    expect(await outcome(provider.refund(rest))).toBe("FailedPrecondition NOTHING_TO_REFUND");
    expect(await outcome(provider.closeCheckout("cs_test_unknown"))).toBe("FailedPrecondition PROVIDER_REFUSED");
    const stranger = bench.providerWith({ secretKey: "sk_test_other" });
    expect(await outcome(stranger.refund(refund))).toBe("Unavailable PROVIDER_REFUSES_KEY");
  });

  test("a customer who pays while the checkout is being closed has paid", async () => {
    const { paymentId, providerReference } = await bench.opened();
    fake.disturb((_, path) => {
      if (path.endsWith("/expire")) fake.pay(paymentId);
      return undefined;
    });
    expect(await provider.closeCheckout(providerReference)).toBe("decided");
    fake.disturb(() => undefined);
  });
});
