import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { MailStatus } from "../../packages/api/gen/bodega/mail/v1/mail_pb.ts";
import { DeliverMail } from "../../packages/api/jobs.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { invalidField } from "../../packages/service/errors.ts";
import { isMailAddress } from "../../packages/service/mail-address.ts";
import { uuid } from "../../packages/service/uuid.ts";
import { insertMails, type MailRow, type NewMail } from "./store.ts";
import type { Letter } from "./templates.tsx";

export type Template =
  | "verification_code"
  | "password_reset"
  | "address_taken"
  | "account_notice"
  | "order_received"
  | "payment_reminder"
  | "payment_received"
  | "payment_declined"
  | "order_completed"
  | "order_cancelled"
  | "refund";

/** A mail that is to be written. Of one template, subject and step there is one mail, for ever. */
export interface Draft {
  /** Of the fact or job that asks for it. */
  tx: Tx;
  template: Template;
  /** What it is about: an order, a payment, a code. */
  subjectId: string;
  step: number;
  recipient: string;
  orderId: string | null;
  letter: Letter;
  holdsCode?: boolean;
  /** Set when it is overtaken already: it is written down and not sent. */
  dropped?: string | undefined;
}

/** Why a mail to somebody who deleted the account is dropped. */
export const ACCOUNT_DELETED = "the account was deleted";

/** Reminders of an order are numbered from 1 to this. */
export const REMINDERS = 3;
const SUBJECT_ID = /^[\w-]{1,100}$/;

/** Writes mails down and has them delivered, once each: a mail that is there already is left as it is. Gives back how many were new. */
export async function compose(app: App, tx: Tx, drafts: Draft[]): Promise<number> {
  const mails = drafts.map((draft) => ({ draft, row: mailOf(app, draft) }));
  const fresh = await insertMails(
    tx.sql,
    mails.map(({ row }) => row),
  );
  for (const { draft, row } of mails) {
    if (fresh.has(row.mail_id) && row.status === "QUEUED") draft.tx.enqueue(DeliverMail, { mailId: row.mail_id });
  }
  return fresh.size;
}

function mailOf(app: App, draft: Draft): NewMail {
  const { template, subjectId, step, recipient, orderId, letter, holdsCode = false, dropped } = draft;
  if (dropped === undefined && !isMailAddress(recipient))
    throw invalidField("email", `is not a mail address, in a ${template} mail about ${subjectId}`);
  if (!SUBJECT_ID.test(subjectId)) throw invalidField("subject_id", `is not an id: ${JSON.stringify(subjectId)}`);
  return {
    mail_id: app.random.id(),
    template,
    subject_id: subjectId,
    step,
    recipient,
    order_id: orderId === null ? null : uuid("order_id", orderId),
    subject: letter.subject,
    content: letter.content,
    holds_code: holdsCode,
    status: dropped === undefined ? "QUEUED" : "DROPPED",
    error: dropped ?? "",
    created_at: app.clock.now(),
  };
}

/** Follows from what the mail is about, so that it is the same at every hand-over and after every crash. */
export function messageIdOf({ template, subject_id, step }: Pick<MailRow, "template" | "subject_id" | "step">): string {
  return `<${template}.${subject_id}.${step}@bodega>`;
}

export function mailMessage(row: MailRow) {
  return {
    mailId: row.mail_id,
    template: row.template,
    to: row.recipient,
    status: MailStatus[row.status],
    attempts: row.attempts,
    subject: row.subject,
    messageId: messageIdOf(row),
    orderId: row.order_id ?? "",
    error: row.error,
    createdAt: timestampFromDate(row.created_at),
    ...(row.sent_at ? { sentAt: timestampFromDate(row.sent_at) } : {}),
  };
}
