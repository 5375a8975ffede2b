import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import type { OrderLine } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { CancelReason } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import type { Money } from "../../packages/api/gen/bodega/type/v1/money_pb.ts";
import { moneyText } from "../../packages/api/money.ts";
import { invalidField } from "../../packages/service/errors.ts";
import { oneLine } from "./transport/mime.ts";

/** What a mail says. */
export interface Letter {
  subject: string;
  content: Content;
}

/** Text and HTML are made of it when the mail is handed over. */
export interface Content {
  name: string;
  paragraphs: string[];
  /** Stands on a line of its own. */
  code?: string;
  rows?: [what: string, value: string][];
  closing?: string;
}

export function verificationCode(name: string, code: string, expiresAt: Timestamp | undefined): Letter {
  return letter({
    subject: "Your verification code",
    name,
    paragraphs: ["Enter this code to confirm your mail address:"],
    code,
    closing: `It is valid until ${minute(expiresAt, "expires_at")}. If you did not ask for it, you need do nothing.`,
  });
}

export function passwordReset(name: string, code: string, expiresAt: Timestamp | undefined): Letter {
  return letter({
    subject: "Password reset",
    name,
    paragraphs: ["Enter this code to choose a new password:"],
    code,
    closing: `It is valid until ${minute(expiresAt, "expires_at")}. If you did not ask for it, your password stays as it is.`,
  });
}

export function addressTaken(name: string): Letter {
  return letter({
    subject: "You have an account already",
    name,
    paragraphs: [
      "Somebody has just tried to open an account with your mail address. You have one already, and nothing has changed.",
      "If it was you: log in as usual, or have your password reset if you no longer know it. If it was not, you need do nothing.",
    ],
  });
}

/** The owner shall hear of what somebody else may have done. */
export function accountNotice(
  name: string,
  { subject, what }: { subject: string; what: string },
  network: string,
  at: Timestamp | undefined,
): Letter {
  return letter({
    subject,
    name,
    paragraphs: [what],
    rows: [["When", minute(at, "at")], ...(network ? [["From", network] satisfies [string, string]] : [])],
    closing: "If it was not you, have your password reset, and tell the shop.",
  });
}

export function orderReceived(
  name: string,
  orderId: string,
  lines: OrderLine[],
  total: Money | undefined,
  expiresAt: Timestamp | undefined,
): Letter {
  return letter({
    subject: `Order received: ${orderId}`,
    name,
    paragraphs: [
      "Thank you, we have your order.",
      `Please pay it by ${minute(expiresAt, "expires_at")}; after that it is cancelled.`,
    ],
    rows: [["Order", orderId], ...lines.map(lineRow), ["Total", money(total, "total")]],
  });
}

export function paymentReminder(
  name: string,
  orderId: string,
  reminder: number,
  total: Money | undefined,
  expiresAt: Timestamp | undefined,
): Letter {
  const last = reminder === 3 ? "This is the last reminder: " : "";
  return letter({
    subject: `Payment reminder: order ${orderId}`,
    name,
    paragraphs: [
      "Your order is not paid yet.",
      `${last}if it is not paid by ${minute(expiresAt, "expires_at")}, it is cancelled.`.replace(/^./, (first) =>
        first.toUpperCase(),
      ),
    ],
    rows: [
      ["Order", orderId],
      ["To pay", money(total, "total")],
    ],
  });
}

/** `points` is null when it was money. */
export function paymentReceived(
  name: string,
  orderId: string,
  total: Money | undefined,
  points: bigint | null,
): Letter {
  const price = money(total, "total");
  return letter({
    subject: `Payment received: order ${orderId}`,
    name,
    paragraphs: ["Thank you, your order is paid."],
    rows: [
      ["Order", orderId],
      ["Paid", points === null ? price : `${inPoints(points)} for ${price}`],
    ],
  });
}

export function paymentDeclined(name: string, orderId: string, amount: Money | undefined, reason: string): Letter {
  return letter({
    subject: `Payment declined: order ${orderId}`,
    name,
    paragraphs: [
      "Your payment did not go through, and nothing was charged.",
      "You can pay the order again, as long as it is open.",
    ],
    rows: [["Order", orderId], ["Amount", money(amount, "amount")], ...reasonRow(reason)],
  });
}

export function orderCompleted(name: string, orderId: string, total: Money | undefined): Letter {
  return letter({
    subject: `Order completed: ${orderId}`,
    name,
    paragraphs: ["Your order is complete. Thank you for shopping with us."],
    rows: [
      ["Order", orderId],
      ["Total", money(total, "total")],
    ],
  });
}

const CANCELLED_BECAUSE: Record<CancelReason, string> = {
  [CancelReason.UNSPECIFIED]: "It could not be carried out.",
  [CancelReason.OUT_OF_STOCK]: "Something in it is out of stock.",
  [CancelReason.EXPIRED]: "It was not paid in time.",
  [CancelReason.CUSTOMER]: "You cancelled it.",
  [CancelReason.ADMIN]: "We had to cancel it.",
  [CancelReason.REFUNDED]: "Your money was given back.",
};

export function orderCancelled(
  name: string,
  orderId: string,
  reason: CancelReason,
  total: Money | undefined,
  { wasPaid, points }: { wasPaid: boolean; points: bigint | null },
): Letter {
  const back =
    points === null
      ? "What you paid is given back; a mail follows."
      : `The ${inPoints(points)} you paid with are in your account again.`;
  return letter({
    subject: `Order cancelled: ${orderId}`,
    name,
    paragraphs: [
      `Your order is cancelled. ${CANCELLED_BECAUSE[reason] ?? CANCELLED_BECAUSE[CancelReason.UNSPECIFIED]}`,
      ...(wasPaid ? [back] : []),
    ],
    rows: [
      ["Order", orderId],
      ["Total", money(total, "total")],
    ],
  });
}

export function refund(name: string, orderId: string, amount: Money | undefined, reason: string): Letter {
  return letter({
    subject: `Refund: order ${orderId}`,
    name,
    paragraphs: ["We have given money back to you. It can take your bank a few days to show it."],
    rows: [["Order", orderId], ["Refunded", money(amount, "amount")], ...reasonRow(reason)],
  });
}

/** EUR 4.50: ASCII, so that it can be read in the raw mail. */
export function money(amount: Money | undefined, field: string): string {
  if (!amount || !/^[A-Z]{3}$/.test(amount.currencyCode))
    throw invalidField(field, `is not an amount with a currency: ${amount?.currencyCode ?? "missing"}`);
  return moneyText(amount, "code");
}

function inPoints(points: bigint): string {
  return points === 1n ? "1 point" : `${points} points`;
}

function minute(at: Timestamp | undefined, field: string): string {
  if (!at) throw invalidField(field, "is missing");
  return `${timestampDate(at).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

function lineRow({ quantity, name, unitPrice }: OrderLine): [string, string] {
  return [`${quantity} x ${name}`, `${money(unitPrice, "lines.unit_price")} each`];
}

function reasonRow(reason: string): [string, string][] {
  return reason ? [["Reason", reason]] : [];
}

/** Names come from strangers: on one line, a name cannot put a line of its own, such as another code, into the text. */
function letter({ subject, name, rows = [], ...rest }: Content & { subject: string }): Letter {
  const cleanRows = rows.map(([what, value]): [string, string] => [oneLine(what), oneLine(value)]);
  return { subject, content: { ...rest, name: oneLine(name) || "customer", rows: cleanRows } };
}

export function textOf({ name, paragraphs, code, rows = [], closing }: Content): string {
  const table = rows.map(([what, value]) => `${what}: ${value}`).join("\n");
  const blocks = [`Hello ${name},`, ...paragraphs, code, table, closing, "Bodega"];
  return `${blocks.filter(Boolean).join("\n\n")}\n`;
}

export function htmlOf(subject: string, { name, paragraphs, code, rows = [], closing }: Content): string {
  const page = (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <title>{subject}</title>
      </head>
      <body style="font-family: system-ui, sans-serif; line-height: 1.5; max-width: 36em; margin: 2em auto; padding: 0 1em">
        <p>Hello {name},</p>
        {paragraphs.map((paragraph) => (
          <p>{paragraph}</p>
        ))}
        {code && <p style="font-size: 2em; letter-spacing: 0.2em; font-family: monospace">{code}</p>}
        {rows.length > 0 && (
          <table cellpadding="4">
            {rows.map(([what, value]) => (
              <tr>
                <th align="left">{what}</th>
                <td>{value}</td>
              </tr>
            ))}
          </table>
        )}
        {closing && <p>{closing}</p>}
        <p>Bodega</p>
      </body>
    </html>
  );
  return asciiHtml(`<!doctype html>\n${page}`);
}

/** Character references for what is not ASCII and a line per block: HTML that travels unencoded. */
function asciiHtml(html: string): string {
  return html
    .replace(/[^\0-\x7f]/gu, (letter) => `&#${letter.codePointAt(0)};`)
    .replace(/(<\/(?:head|title|p|th|td|tr|table|body)>)/g, "$1\n");
}
