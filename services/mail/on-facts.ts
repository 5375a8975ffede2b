import {
  OrderCancelled,
  OrderCompleted,
  OrderCreated,
  OrderPaid,
  PaymentFailed,
  PaymentRefunded,
  UserRegistered,
} from "../../packages/api/facts.ts";
import type { UserRegistered as Registered } from "../../packages/api/gen/bodega/auth/v1/events_pb.ts";
import type { Money } from "../../packages/api/gen/bodega/type/v1/money_pb.ts";
import type { Body, Fact } from "../../packages/api/messages.ts";
import { isUuid } from "../../packages/database/ids.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { invalidField, notFound } from "../../packages/service/errors.ts";
import { type Hears, onMany } from "../../packages/service/service.ts";
import { compose, type Draft, REMINDERS, type Template } from "./mail.ts";
import { isAddress } from "./mime.ts";
import {
  type Contact,
  contactsOf,
  countMails,
  dropQueued,
  type OrderState,
  saveContacts,
  saveOrders,
} from "./store.ts";
import {
  type Letter,
  orderCancelled,
  orderCompleted,
  orderReceived,
  paymentDeclined,
  paymentReceived,
  refund,
} from "./templates.tsx";

/*
 * Each fact is one mail. "Payment received" is told by the order, not by the payment: money that comes too late for a cancelled order
 * is no payment of it, and its owner gets the refund mail alone.
 */
export const heard: Hears[] = [
  onMany(UserRegistered, onUserRegistered),
  onOrder(OrderCreated, "pending", "order_received", (body, name) =>
    orderReceived(name, body.orderId, body.lines, body.total, body.expiresAt),
  ),
  onOrder(OrderPaid, "paid", "payment_received", (body, name) =>
    paymentReceived(name, body.orderId, body.total, paidPoints(body)),
  ),
  onOrder(OrderCompleted, "completed", "order_completed", (body, name) =>
    orderCompleted(name, body.orderId, body.total),
  ),
  onOrder(OrderCancelled, "cancelled", "order_cancelled", (body, name) =>
    orderCancelled(name, body.orderId, body.reason, body.total, { wasPaid: body.wasPaid, points: paidPoints(body) }),
  ),
  onPayment(PaymentFailed, "payment_declined", (body, name) =>
    paymentDeclined(name, body.orderId, body.amount, body.reason),
  ),
  onPayment(PaymentRefunded, "refund", (body, name) => refund(name, body.orderId, body.amount, body.reason)),
];

async function onUserRegistered(_app: App, tx: Tx, bodies: Registered[]): Promise<void> {
  for (const { userId, email } of bodies) {
    if (!isUuid(userId)) throw invalidField("user_id", `is not an id: ${JSON.stringify(userId)}`);
    if (!isAddress(email)) throw invalidField("email", `is not a mail address, of user ${userId}`);
  }
  await saveContacts(
    tx.sql,
    bodies.map(({ userId, email, displayName }) => ({ user_id: userId, email, display_name: displayName })),
  );
}

/** Null when money paid it, or nothing did. */
function paidPoints({ holdId, points }: { holdId: string; points: bigint }): bigint | null {
  return holdId ? points : null;
}

interface OfOrder {
  orderId: string;
  customerId: string;
  total?: Money | undefined;
}

/** Remembers where the order stands and writes its mail. An order that moves on needs no reminder any more. */
function onOrder<F extends Fact>(
  fact: F,
  status: OrderState,
  template: Template,
  write: (body: Body<F>, name: string) => Letter,
): Hears {
  return onMany(fact, async (app, tx, bodies) => {
    // Facts of orders carry these three.
    const orders = bodies as unknown as OfOrder[];
    const drafts = await draftsOf(tx, fact, template, bodies, write);
    await saveOrders(
      tx.sql,
      orders.map((order) => ({
        order_id: order.orderId,
        status,
        total_minor_units: String(order.total?.minorUnits),
        currency_code: order.total?.currencyCode ?? "",
      })),
    );
    if (status !== "pending")
      await dropQueued(
        tx.sql,
        "payment_reminder",
        orders.map(({ orderId }) => orderId),
        REMINDERS,
        `the order is ${status}`,
      );
    await compose(app, tx, drafts);
  });
}

/** A payment can be declined, and given back in parts, more than once: its mails are numbered as they come. */
function onPayment<F extends Fact>(fact: F, template: Template, write: (body: Body<F>, name: string) => Letter): Hears {
  return onMany(fact, async (app, tx, bodies) => {
    const drafts = await draftsOf(tx, fact, template, bodies, write);
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
  });
}

async function draftsOf<F extends Fact>(
  tx: Tx,
  fact: F,
  template: Template,
  bodies: Body<F>[],
  write: (body: Body<F>, name: string) => Letter,
): Promise<Draft[]> {
  // Facts of orders and payments carry these two.
  const told = bodies as unknown as OfOrder[];
  for (const { orderId, customerId } of told) {
    if (!isUuid(orderId)) throw invalidField("order_id", `is not an id: ${JSON.stringify(orderId)}`);
    if (!isUuid(customerId)) throw invalidField("customer_id", `is not an id: ${JSON.stringify(customerId)}`);
  }
  const contacts = await contactsOf(
    tx.sql,
    told.map(({ customerId }) => customerId),
  );
  return bodies.map((body, index) => {
    const { orderId, customerId } = told[index] as OfOrder; // As long as bodies.
    const contact = known(contacts, customerId);
    const letter = write(body, contact.display_name);
    return { cause: body, template, subjectId: fact.key(body), step: 0, recipient: contact.email, orderId, letter };
  });
}

/** Facts of users and of orders come on different ways: who is not known yet will be. */
function known(contacts: Map<string, Contact>, userId: string): Contact {
  const contact = contacts.get(userId);
  if (!contact) throw notFound("contact", userId);
  return contact;
}
