import type { Child } from "hono/jsx";
import type { EmbeddedCheckout } from "./embedded.ts";

// The embedded provider's pages: no script, and everything that comes from outside is escaped by JSX.

const STYLE = `
  body { font: 1rem/1.5 system-ui, sans-serif; max-width: 26rem; margin: 3rem auto; padding: 0 1rem; color: #1c1c1c; background: #fafafa }
  dt { color: #595959 } dd { margin: 0 0 .75rem; overflow-wrap: anywhere } .amount { font-size: 1.75rem; font-weight: 600 }
  button { font: inherit; width: 100%; padding: .6rem; margin: .25rem 0; border: 1px solid #767676; border-radius: .4rem; background: #fff; cursor: pointer }
  button[value=succeeded] { background: #14532d; border-color: #14532d; color: #fff } .note { color: #595959; font-size: .875rem }`;

export function PayPage({ checkout }: { checkout: EmbeddedCheckout }) {
  return (
    <Page title="Pay">
      <Summary checkout={checkout} />
      {checkout.outcome && <p>{RESULTS[checkout.outcome].text}</p>}
      <Choices paymentId={checkout.payment_id} />
      <p class="note">This is the embedded test provider: no real money moves.</p>
    </Page>
  );
}

export function ResultPage({ checkout }: { checkout: EmbeddedCheckout }) {
  const { title, text } = RESULTS[checkout.outcome ?? "abandoned"];
  return (
    <Page title={title}>
      <p>{text}</p>
      <Summary checkout={checkout} />
      {checkout.outcome !== "captured" && (
        <p>
          <a href={`/pay/${checkout.payment_id}`}>Back to the payment</a>
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

function Summary({ checkout }: { checkout: EmbeddedCheckout }) {
  return (
    <dl>
      <dt>Amount</dt>
      <dd class="amount">{amountText(checkout)}</dd>
      <dt>Order</dt>
      <dd>{checkout.order_id}</dd>
    </dl>
  );
}

function Choices({ paymentId }: { paymentId: string }) {
  return (
    <form method="post" action={`/pay/${paymentId}`}>
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

/** Exact to the last unit, with as many decimals as the currency has. */
function amountText({ currency_code, amount_minor_units }: EmbeddedCheckout): string {
  const format = new Intl.NumberFormat("en", { style: "currency", currency: currency_code });
  const decimals = format.resolvedOptions().maximumFractionDigits ?? 2;
  const digits = String(amount_minor_units).padStart(decimals + 1, "0");
  const decimal = decimals ? `${digits.slice(0, -decimals)}.${digits.slice(-decimals)}` : digits;
  // A decimal string is formatted exactly; the type asks for the literal form of one.
  return format.format(decimal as `${number}`);
}
