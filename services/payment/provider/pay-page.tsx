import type { Child } from "hono/jsx";
import { moneyText } from "../../../packages/api/money.ts";
import type { Payment, Status } from "../payment.ts";
import type { EmbeddedCheckout } from "./embedded.ts";

// The embedded provider's pages: no script, and everything that comes from outside is escaped by JSX.

const STYLE = `
  body { font: 1rem/1.5 system-ui, sans-serif; max-width: 26rem; margin: 3rem auto; padding: 0 1rem; color: #1c1c1c; background: #fafafa }
  dt { color: #595959 } dd { margin: 0 0 .75rem; overflow-wrap: anywhere } .amount { font-size: 1.75rem; font-weight: 600 }
  button { font: inherit; width: 100%; padding: .6rem; margin: .25rem 0; border: 1px solid #767676; border-radius: .4rem; background: #fff; cursor: pointer }
  button[value=succeeded] { background: #14532d; border-color: #14532d; color: #fff } .note { color: #595959; font-size: .875rem }`;

/** A checkout, and what is before the paths of links: the path of PUBLIC_URL. */
interface Shown {
  checkout: EmbeddedCheckout;
  base: string;
}

export function PayPage({ checkout, base }: Shown) {
  return (
    <Page title="Pay">
      <Summary checkout={checkout} />
      {checkout.outcome && <p>{RESULTS[checkout.outcome].text}</p>}
      <Choices action={`${base}/pay/${checkout.payment_id}`} />
      <p class="note">This is the embedded test provider: no real money moves.</p>
    </Page>
  );
}

/** Its order has ended: somebody else was faster, or time was. */
export function ClosedPage({ checkout }: { checkout: EmbeddedCheckout }) {
  return (
    <Page title="Checkout closed">
      <p>The order has ended, so there is nothing to pay any more. Money that is still on its way goes back to you.</p>
      <Summary checkout={checkout} />
    </Page>
  );
}

export function ResultPage({ checkout, base }: Shown) {
  const { title, text } = RESULTS[checkout.outcome ?? "abandoned"];
  return (
    <Page title={title}>
      <p>{text}</p>
      <Summary checkout={checkout} />
      {checkout.outcome !== "captured" && !checkout.closed_at && (
        <p>
          <a href={`${base}/pay/${checkout.payment_id}`}>Back to the payment</a>
        </p>
      )}
    </Page>
  );
}

/** What is known of a payment that is made elsewhere. */
export function ReturnPage({ payment }: { payment: Payment }) {
  const { title, text } = STATES[payment.status];
  return (
    <Page title={title}>
      <p>{text}</p>
      <Summary checkout={payment} />
      {payment.status === "PENDING" && payment.checkout_url && (
        <p>
          <a href={payment.checkout_url}>To the checkout</a>
        </p>
      )}
    </Page>
  );
}

export function NoticePage({ title, text }: { title: string; text: string }) {
  return (
    <Page title={title}>
      <p>{text}</p>
    </Page>
  );
}

const RESULTS = {
  captured: { title: "Payment succeeded", text: "Thank you. Your payment was taken." },
  declined: { title: "Payment declined", text: "The payment was declined. Nothing was taken." },
  abandoned: { title: "Payment abandoned", text: "The payment was abandoned. Nothing was taken." },
};

const STATES: Record<Status, { title: string; text: string }> = {
  PENDING: {
    title: "Waiting for the payment",
    text: "If you have paid, we shall hear of it in a moment. If not, you still can.",
  },
  CAPTURED: RESULTS.captured,
  FAILED: RESULTS.declined,
  ABANDONED: {
    title: "Checkout closed",
    text: "Nothing is to be paid here any more. Money that is still on its way goes back to you.",
  },
  REFUNDED: { title: "Payment refunded", text: "Your payment went back to you." },
};

type Asked = Pick<Payment, "currency_code" | "amount_minor_units" | "order_id">;

function Summary({ checkout }: { checkout: Asked }) {
  return (
    <dl>
      <dt>Amount</dt>
      <dd class="amount">
        {moneyText({ currencyCode: checkout.currency_code, minorUnits: checkout.amount_minor_units })}
      </dd>
      <dt>Order</dt>
      <dd>{checkout.order_id}</dd>
    </dl>
  );
}

function Choices({ action }: { action: string }) {
  return (
    <form method="post" action={action}>
      <button type="submit" name="outcome" value="succeeded">
        Pay
      </button>
      <button type="submit" name="outcome" value="declined">
        Decline
      </button>
      <button type="submit" name="outcome" value="abandoned">
        Abandon
      </button>
    </form>
  );
}

function Page({ title, children }: { title: string; children: Child }) {
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>{title} · Bodega</title>
        <style>{STYLE}</style>
      </head>
      <body>
        <main>
          <h1>{title}</h1>
          {children}
        </main>
      </body>
    </html>
  );
}
