// A Stripe provider, its fake Stripe, and the clock that both go by.
import { Code, ConnectError } from "@connectrpc/connect";
import { reasonOf } from "../../../packages/service/errors.ts";
import { drivenClock } from "../../../packages/time/clock.ts";
import { systemRandom } from "../../../packages/time/random.ts";
import { createStripeProvider } from "../../../services/payment/provider/stripe.ts";
import { FAKE_KEY, FAKE_SECRET, startFakeStripe } from "./fake-stripe.ts";

const START = new Date("2026-01-05T08:00:00Z");
export const NEXT_SECRET = `whsec_${"b2".repeat(16)}`;

export type StripeBench = Awaited<ReturnType<typeof startStripeBench>>;

export async function startStripeBench() {
  const clock = drivenClock(START);
  const fake = await startFakeStripe(clock.now);
  const newId = systemRandom(clock).id;
  const providerWith = (other: { secretKey?: string; apiBase?: string } = {}) =>
    createStripeProvider({
      secretKey: FAKE_KEY,
      webhookSecrets: [FAKE_SECRET, NEXT_SECRET],
      apiBase: fake.url,
      publicUrl: "https://shop.test",
      clock,
      ...other,
    });
  const provider = providerWith();
  async function opened(amount = EUR(1_999n)) {
    const order = { paymentId: newId(), orderId: newId(), amount };
    return { ...order, ...(await provider.createCheckout(order)) };
  }
  return {
    clock,
    fake,
    newId,
    provider,
    providerWith,
    opened,
    async paid() {
      const checkout = await opened();
      fake.pay(checkout.paymentId);
      return checkout;
    },
  };
}

export const EUR = (minorUnits: bigint) => ({ currencyCode: "EUR", minorUnits });

/** done, or the code and the reason of the refusal. */
export const outcome = (call: Promise<unknown>) =>
  call.then(
    () => "done",
    (error: unknown) => {
      const refusal = ConnectError.from(error);
      return `${Code[refusal.code]} ${reasonOf(refusal)}`;
    },
  );
