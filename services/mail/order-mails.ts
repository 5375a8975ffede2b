import type { Money } from "../../packages/api/gen/bodega/type/v1/money_pb.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { notFound } from "../../packages/service/errors.ts";
import type { Message } from "../../packages/service/service.ts";
import { uuid } from "../../packages/service/uuid.ts";
import { ACCOUNT_DELETED, compose, type Draft, REMINDERS, type Template } from "./mail.ts";
import { type Contact, contactsOf, countMails, dropQueued, type OrderState, saveOrders } from "./store.ts";
import type { Letter } from "./templates.tsx";

/*
 * Each fact is one mail. "Payment received" is told by the order, not by the payment: money that comes too late for a cancelled order
 * is no payment of it, and its owner gets the refund mail alone.
 */

interface OfOrder {
  orderId: string;
  customerId: string;
}

type Write<B> = (body: B, name: string) => Letter;

/** Remembers where the order stands and writes its mail. An order that moves on needs no reminder any more. */
export async function writeOrderMails<B extends OfOrder & { total?: Money | undefined }>(
  app: App,
  tx: Tx,
  messages: Message<B>[],
  status: OrderState,
  template: Template,
  write: Write<B>,
): Promise<void> {
  const drafts = await draftsOf(tx, template, messages, write);
  await saveOrders(
    tx.sql,
    messages.map(({ body: { orderId, total } }) => ({
      order_id: orderId,
      status,
      total_minor_units: total?.minorUnits,
      currency_code: total?.currencyCode ?? "",
    })),
  );
  if (status !== "PENDING") {
    const orderIds = messages.map(({ body }) => body.orderId);
    await dropQueued(tx.sql, "payment_reminder", orderIds, REMINDERS, `the order is ${status}`);
  }
  await compose(app, tx, drafts);
}

/** A payment can be declined, and given back in parts, more than once: its mails are numbered as they come. */
export async function writePaymentMails<B extends OfOrder>(
  app: App,
  tx: Tx,
  messages: Message<B>[],
  template: Template,
  write: Write<B>,
): Promise<void> {
  const drafts = await draftsOf(tx, template, messages, write);
  const counts = await countMails(
    tx.sql,
    template,
    drafts.map(({ subjectId }) => subjectId),
  );
  for (const draft of drafts) {
    draft.step = (counts.get(draft.subjectId) ?? 0) + 1;
    counts.set(draft.subjectId, draft.step);
  }
  const written = await compose(app, tx, drafts);
  if (written !== drafts.length)
    throw new Error(
      `${drafts.length - written} of ${drafts.length} ${template} mails had their number taken: two workers were at one payment`,
    );
}

/** Null when money paid it, or nothing did. */
export function paidPoints({ holdId, points }: { holdId: string; points: bigint }): bigint | null {
  return holdId ? points : null;
}

async function draftsOf<B extends OfOrder>(
  tx: Tx,
  template: Template,
  messages: Message<B>[],
  write: Write<B>,
): Promise<Draft[]> {
  const told = messages.map(({ key, body, tx: own }) => ({
    ...{ key, body, own },
    orderId: uuid("order_id", body.orderId),
    customerId: uuid("customer_id", body.customerId),
  }));
  const contacts = await contactsOf(
    tx.sql,
    told.map(({ customerId }) => customerId),
  );
  return told.map(({ key, body, own, orderId, customerId }) => {
    const { email, display_name } = known(contacts, customerId);
    const letter = write(body, display_name);
    const dropped = email === "" ? ACCOUNT_DELETED : undefined;
    return { tx: own, template, subjectId: key, step: 0, recipient: email, orderId, letter, dropped };
  });
}

/** Facts of users and of orders come on different ways: who is not known yet will be. */
function known(contacts: Map<string, Contact>, userId: string): Contact {
  const contact = contacts.get(userId);
  if (!contact) throw notFound("contact", userId);
  return contact;
}
