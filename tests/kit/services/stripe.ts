// The payment service with Stripe, which is our fake; the orders it asks for are the test's.

import { FAKE_KEY, FAKE_SECRET, type FakeStripe, startFakeStripe, webhookOf } from "../fake-stripe/fake-stripe.ts";
import type { Balance, StripeEvent } from "../fake-stripe/objects.ts";
import { type PaymentSystem, startPaymentSystem } from "./payment.ts";

export interface StripeSystem extends PaymentSystem {
  fake: FakeStripe;
  /** Tells these events, by default all that nobody has heard yet, and all that follows. */
  hear(events?: StripeEvent[]): Promise<void>;
  /** A payment that a card has paid, of which payment has heard. */
  paid(): Promise<{ paymentId: string; orderId: string }>;
  /** What our own books say, in the words of the fake's ledger. */
  balanceOf(paymentId: string): Promise<Balance>;
}

export const stripeVariables = (fake: FakeStripe) => ({
  STRIPE_API_BASE: fake.url,
  STRIPE_SECRET_KEY: FAKE_KEY,
  STRIPE_WEBHOOK_SECRET: FAKE_SECRET,
});

export async function startStripeSystem(): Promise<StripeSystem> {
  const fake = await startFakeStripe();
  const system = await startPaymentSystem(stripeVariables(fake));
  async function hear(events = fake.events.splice(0)): Promise<void> {
    for (const event of events) {
      const { body, headers } = webhookOf(event, new Date());
      const { status } = await system.http("/webhooks/stripe", { method: "POST", body, headers });
      if (status !== 200) throw new Error(`${event.type} was answered with ${status}`);
    }
    await system.settle();
  }
  return {
    ...system,
    fake,
    hear,
    async paid() {
      const opened = await system.started();
      fake.pay(opened.paymentId);
      await hear();
      return opened;
    },
    async balanceOf(paymentId) {
      const [row] = await system.payment.sql<{ captured: bigint; refunded: bigint; disputed: bigint }[]>`
        select case when captured_at is null then 0 else amount_minor_units end as captured, refunded_minor_units as refunded, disputed_minor_units as disputed
        from payments where payment_id = ${paymentId}`;
      if (!row) throw new Error(`there is no payment ${paymentId}`);
      return { captured: Number(row.captured), refunded: Number(row.refunded), disputed: Number(row.disputed) };
    },
    async close() {
      await system.close();
      await fake.close();
    },
  };
}
