import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { MailStatus } from "../../packages/api/gen/bodega/mail/v1/mail_pb.ts";
import { DeliverMail } from "../../packages/api/jobs.ts";
import { isUuid } from "../../packages/database/ids.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { invalidField } from "../../packages/service/errors.ts";
import { inContextOf } from "../../packages/telemetry/context.ts";
import { isAddress } from "./mime.ts";
import { insertMails, type MailRow, type MailState, type NewMail } from "./store.ts";
import type { Letter } from "./templates.tsx";

export type Template =
  | "verification_code"
  | "password_reset"
  | "order_received"
  | "payment_reminder"
  | "payment_received"
  | "payment_declined"
  | "order_completed"
  | "order_cancelled"
  | "refund";

/** A mail that is to be written. Of one template, subject and step there is one mail, for ever. */
export interface Draft {
  /** The fact or job that asks for it. */
  cause: object;
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
    if (fresh.has(row.mail_id) && row.status === "queued")
      inContextOf(draft.cause, () => tx.enqueue(DeliverMail, { mailId: row.mail_id }));
  }
  return fresh.size;
}

function mailOf(app: App, draft: Draft): NewMail {
  const { template, subjectId, step, recipient, orderId, letter, holdsCode = false, dropped } = draft;
  if (!isAddress(recipient))
    throw invalidField("email", `is not a mail address, in a ${template} mail about ${subjectId}`);
  if (!SUBJECT_ID.test(subjectId)) throw invalidField("subject_id", `is not an id: ${JSON.stringify(subjectId)}`);
  if (orderId !== null && !isUuid(orderId)) throw invalidField("order_id", `is not an id: ${JSON.stringify(orderId)}`);
  return {
    mail_id: app.random.id(),
    template,
    subject_id: subjectId,
    step,
    recipient,
    order_id: orderId,
    subject: letter.subject,
    content: letter.content,
    holds_code: holdsCode,
    status: dropped === undefined ? "queued" : "dropped",
    error: dropped ?? "",
    created_at: app.clock.now(),
  };
}

/** Follows from what the mail is about, so that it is the same at every hand-over and after every crash. */
export function messageIdOf({ template, subject_id, step }: Pick<MailRow, "template" | "subject_id" | "step">): string {
  return `<${template}.${subject_id}.${step}@bodega>`;
}

const STATUS: Record<MailState, MailStatus> = {
  queued: MailStatus.QUEUED,
  sent: MailStatus.SENT,
  failed: MailStatus.FAILED,
  dropped: MailStatus.DROPPED,
};

export function stateOf(status: MailStatus): MailState | null {
  const found = Object.entries(STATUS).find(([, value]) => value === status);
  return found ? (found[0] as MailState) : null; // A key of STATUS.
}

export function mailMessage(row: MailRow) {
  return {
    mailId: row.mail_id,
    template: row.template,
    to: row.recipient,
    status: STATUS[row.status],
    attempts: row.attempts,
    subject: row.subject,
    messageId: messageIdOf(row),
    orderId: row.order_id ?? "",
    error: row.error,
    createdAt: timestampFromDate(row.created_at),
    ...(row.sent_at ? { sentAt: timestampFromDate(row.sent_at) } : {}),
  };
}
