import { timestampDate } from "@bufbuild/protobuf/wkt";
import type { SendPaymentReminder } from "../../packages/api/gen/bodega/mail/v1/events_pb.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { invalidField, notFound } from "../../packages/service/errors.ts";
import type { Message } from "../../packages/service/service.ts";
import { ACCOUNT_DELETED, compose, REMINDERS } from "./mail.ts";
import { contactsOf, dropQueued, latestStep, orderState } from "./store.ts";
import { paymentReminder } from "./templates.tsx";

const HOUR_MS = 3_600_000;
/** A reminder is late for good when the next one, or the expiry, is due: 12, 22 and 24 hours into the order's life, counted from its end. */
const TOO_LATE_BEFORE_EXPIRY_MS = [12 * HOUR_MS, 2 * HOUR_MS, 0];

/** Writes a reminder, or writes down that it was overtaken. Whether the order is still unpaid is asked again right before it is sent. */
export async function sendPaymentReminder(app: App, { body, tx }: Message<SendPaymentReminder>): Promise<void> {
  const { orderId, customerId, reminder, total, expiresAt } = body;
  if (reminder < 1 || reminder > REMINDERS)
    throw invalidField("reminder", `is not between 1 and ${REMINDERS}: ${reminder}`);
  const contact = (await contactsOf(tx.sql, [customerId])).get(customerId);
  if (!contact) throw notFound("contact", customerId);
  const letter = paymentReminder(contact.display_name, orderId, reminder, total, expiresAt);
  const dropped = contact.email === "" ? ACCOUNT_DELETED : await overtaken(app, tx, body);
  // After an outage several can be waiting: only the newest goes out.
  if (!dropped) await dropQueued(tx.sql, "payment_reminder", [orderId], reminder - 1, `reminder ${reminder} is due`);
  await compose(app, tx, [
    {
      tx,
      template: "payment_reminder",
      subjectId: orderId,
      step: reminder,
      recipient: contact.email,
      orderId,
      letter,
      dropped,
    },
  ]);
}

async function overtaken(
  app: App,
  tx: Tx,
  { orderId, reminder, expiresAt }: SendPaymentReminder,
): Promise<string | undefined> {
  const state = await orderState(tx.sql, orderId);
  if (state && state !== "PENDING") return `the order is ${state}`;
  const latest = await latestStep(tx.sql, "payment_reminder", orderId);
  if (latest > reminder) return `reminder ${latest} came before it`;
  const expiry = expiresAt ? timestampDate(expiresAt).getTime() : Number.POSITIVE_INFINITY;
  const tooLate = expiry - (TOO_LATE_BEFORE_EXPIRY_MS[reminder - 1] ?? 0);
  return app.clock.now().getTime() >= tooLate ? "it comes too late: the next step is due" : undefined;
}
