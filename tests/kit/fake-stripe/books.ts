// The fake Stripe's books: its objects as its API shows them, a ledger that knows only sums, and what people do there.
import type { Balance, Dispute, Intent, NewSession, Refund, Session, StripeEvent } from "./objects.ts";

const DAY_S = 86_400;
/** Fixed, whatever the library asks for: an account's webhooks come in the version of the account. */
const API_VERSION = "2026-10-28.endive";

export type Books = ReturnType<typeof openBooks>;

/** `tell` hears each event at the moment it happens, often before the call that caused it has answered. */
export function openBooks(now: () => Date, tell: (event: StripeEvent) => void) {
  const sessions = new Map<string, Session>();
  const intents = new Map<string, Intent>();
  const refunds = new Map<string, Refund>();
  const disputes = new Map<string, Dispute>();
  const wanted = new Map<string, Record<string, string>>();
  const ledger: { paymentId: string; account: keyof Balance; amount: number }[] = [];
  let last = 0;

  const newId = (prefix: string) => `${prefix}_test_${String(++last).padStart(6, "0")}`;
  const seconds = () => Math.floor(now().getTime() / 1_000);
  const happened = (type: string, object: StripeEvent["data"]["object"]) =>
    tell({
      object: "event",
      id: newId("evt"),
      type,
      api_version: API_VERSION,
      created: seconds(),
      livemode: false,
      pending_webhooks: 1,
      request: { id: null, idempotency_key: null },
      data: { object: structuredClone(object) },
    });
  const book = (intent: Intent, account: keyof Balance, amount: number) =>
    ledger.push({ paymentId: intent.metadata["payment_id"] ?? intent.id, account, amount });

  /** The newest checkout of one of our payments, or by its own id. */
  function sessionOf(id: string): Session {
    const found = sessions.get(id) ?? [...sessions.values()].findLast((each) => each.client_reference_id === id);
    if (!found) throw new Error(`the fake Stripe has no checkout ${id}`);
    return found;
  }

  function intentOf(id: string): Intent {
    const found = intents.get(id) ?? intents.get(sessionOf(id).payment_intent ?? "");
    if (!found) throw new Error(`nobody has paid ${id} at the fake Stripe`);
    return found;
  }

  function intentThatIs(status: Intent["status"], id: string): Intent {
    const intent = intentOf(id);
    if (intent.status !== status) throw new Error(`${intent.id} at the fake Stripe is ${intent.status}, not ${status}`);
    return intent;
  }

  function openOnly(session: Session): void {
    if (session.status !== "open") throw new Error(`the page of ${session.id} takes no money: it is ${session.status}`);
  }

  function intentFor(session: Session, status: Intent["status"]): Intent {
    const { amount_total: amount, currency } = session;
    const made: Intent = {
      object: "payment_intent",
      id: newId("pi"),
      amount,
      amount_received: status === "succeeded" ? amount : 0,
      currency,
      metadata: wanted.get(session.id) ?? {},
      status,
      livemode: false,
      created: seconds(),
    };
    intents.set(made.id, made);
    session.payment_intent = made.id;
    return made;
  }

  function left(intent: Intent): number {
    const given = [...refunds.values()].filter((each) => each.payment_intent === intent.id && each.status !== "failed");
    return intent.amount_received - given.reduce((sum, each) => sum + each.amount, 0);
  }

  return {
    sessions,
    intents,
    refunds,
    disputes,
    left,
    sessionOf,
    openSession({ intentMetadata, ...given }: NewSession): Session {
      const id = newId("cs");
      const session: Session = {
        object: "checkout.session",
        id,
        ...given,
        status: "open",
        payment_status: "unpaid",
        payment_intent: null,
        url: `https://checkout.stripe.com/c/pay/${id}`,
        mode: "payment",
        livemode: false,
        created: seconds(),
        expires_at: seconds() + DAY_S,
      };
      sessions.set(id, session);
      wanted.set(id, intentMetadata);
      return session;
    },
    /** By its owner, or because its day is over. */
    expire(id: string): void {
      const session = sessionOf(id);
      openOnly(session);
      Object.assign(session, { status: "expired", url: null });
      happened("checkout.session.expired", session);
    },
    /** A customer pays on the page: by card at once, or by a bank that takes its time. */
    pay(id: string, by: "card" | "bank" = "card"): void {
      const session = sessionOf(id);
      openOnly(session);
      Object.assign(session, { status: "complete", url: null, payment_status: by === "card" ? "paid" : "unpaid" });
      const intent = intentFor(session, by === "card" ? "succeeded" : "processing");
      if (by === "card") book(intent, "captured", intent.amount);
      happened("checkout.session.completed", session);
    },
    bankPays(id: string): void {
      const session = sessionOf(id);
      const intent = intentThatIs("processing", id);
      Object.assign(intent, { status: "succeeded", amount_received: intent.amount });
      session.payment_status = "paid";
      book(intent, "captured", intent.amount);
      happened("checkout.session.async_payment_succeeded", session);
    },
    bankRefuses(id: string): void {
      intentThatIs("processing", id).status = "requires_payment_method";
      happened("checkout.session.async_payment_failed", sessionOf(id));
    },
    /** By us through the API, or by somebody on Stripe's own pages. */
    refund(id: string, amount = left(intentOf(id)), metadata: Record<string, string> = {}): Refund {
      const intent = intentOf(id);
      if (amount <= 0 || amount > left(intent)) throw new Error(`${intent.id} has ${left(intent)} left, not ${amount}`);
      const refund: Refund = {
        object: "refund",
        id: newId("re"),
        amount,
        currency: intent.currency,
        payment_intent: intent.id,
        metadata,
        status: "pending",
        reason: metadata["refund_id"] ? null : "requested_by_customer",
        created: seconds(),
      };
      refunds.set(refund.id, refund);
      book(intent, "refunded", amount);
      happened("refund.created", refund);
      refund.status = "succeeded";
      happened("refund.updated", refund);
      return refund;
    },
    /** The customer's bank sends it back. */
    failRefund(id: string): void {
      const refund = refunds.get(id);
      if (!refund || refund.status === "failed") throw new Error(`the fake Stripe has no refund ${id} that could fail`);
      Object.assign(refund, { status: "failed", failure_reason: "lost_or_stolen_card" });
      book(intentOf(refund.payment_intent), "refunded", -refund.amount);
      happened("refund.updated", refund);
      happened("refund.failed", refund);
    },
    /** A customer disputes at the bank, which takes the money at once; an inquiry takes none. */
    dispute(id: string, amount = intentOf(id).amount, kind: "dispute" | "inquiry" = "dispute"): Dispute {
      const intent = intentThatIs("succeeded", id);
      const dispute: Dispute = {
        object: "dispute",
        id: newId("dp"),
        amount,
        currency: intent.currency,
        payment_intent: intent.id,
        metadata: {},
        status: kind === "inquiry" ? "warning_needs_response" : "needs_response",
        reason: "fraudulent",
        balance_transactions: [],
        livemode: false,
        created: seconds(),
      };
      disputes.set(dispute.id, dispute);
      happened("charge.dispute.created", dispute);
      if (kind === "inquiry") return dispute;
      dispute.balance_transactions.push(transaction(newId("txn"), -amount, intent.currency));
      book(intent, "disputed", amount);
      happened("charge.dispute.funds_withdrawn", dispute);
      return dispute;
    },
    winDispute(id: string): void {
      const dispute = disputes.get(id);
      if (dispute?.status !== "needs_response")
        throw new Error(`the fake Stripe has no dispute ${id} that could be won`);
      dispute.status = "won";
      dispute.balance_transactions.push(transaction(newId("txn"), dispute.amount, dispute.currency));
      book(intentOf(dispute.payment_intent), "disputed", -dispute.amount);
      happened("charge.dispute.funds_reinstated", dispute);
      happened("charge.dispute.closed", dispute);
    },
    /** Per payment of ours, summed over everything that ever happened. */
    balances(): Map<string, Balance> {
      const sums = new Map<string, Balance>();
      for (const { paymentId, account, amount } of ledger) {
        const sum = sums.get(paymentId) ?? { captured: 0, refunded: 0, disputed: 0 };
        sum[account] += amount;
        sums.set(paymentId, sum);
      }
      return sums;
    },
  };
}

function transaction(id: string, amount: number, currency: string) {
  return { object: "balance_transaction" as const, id, amount, currency };
}
