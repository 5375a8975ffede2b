import type { DeliverMail as Delivery } from "../../packages/api/gen/bodega/mail/v1/events_pb.ts";
import { OrderService, OrderStatus, OrderStatusSchema } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { DeliverMail } from "../../packages/api/jobs.ts";
import { gather, gatherPer } from "../../packages/database/gather.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { type Does, effectMany, type Failing, type Message, type Performed } from "../../packages/service/service.ts";
import type { MailConfig } from "./config.ts";
import { messageIdOf } from "./mail.ts";
import { giveUp, type MailRow, markSent, noteError, toSend } from "./store.ts";
import { type Content, htmlOf, textOf } from "./templates.tsx";
import { type MailTransport, type OutgoingMail, undeliverable } from "./transport/transport.ts";

/** Longer than a mail server may take for its answer. */
const HAND_OVER_MS = 12 * 60_000;
/** Then the code in it is worth nothing. */
const CODE_LIFE_MS = 10 * 60_000;
const BEGUN_AT_ONCE_MAX = 64;

export type Outcome = { kind: "sent" } | { kind: "nothing" } | { kind: "dropped"; why: string };

/** `atOnce` mails are under way at one time: as many as the transport can take. */
export function deliversMail(atOnce: number, transportOf: (app: App<MailConfig>) => MailTransport): Does {
  return effectMany(DeliverMail, {
    perform: (app: App<MailConfig>, { body }, { signal }) => deliver(app, transportOf(app), body, signal),
    settle,
    retrying,
    fail,
    atOnce,
    limitMs: HAND_OVER_MS,
  });
}

/** A mail server that is away is no fault of the mail: it waits and is tried again. Only what is refused for good fails. */
export async function deliver(
  app: App<MailConfig>,
  transport: MailTransport,
  { mailId }: Delivery,
  signal: AbortSignal,
): Promise<Outcome> {
  const mail = await find(app, mailId);
  if (!mail) return { kind: "nothing" };
  if (mail.content === null) return { kind: "dropped", why: "its text held a code and is no longer kept" };
  if (mail.holds_code && app.clock.now().getTime() > mail.created_at.getTime() + CODE_LIFE_MS)
    throw undeliverable(`given up after ${mail.attempts} attempts, for the code in it is over: ${mail.error}`);
  const why = await overtaken(app, mail);
  if (why) return { kind: "dropped", why };
  await transport.send(outgoing(app.config, mail, mail.content), signal);
  return { kind: "sent" };
}

/** Mails that are begun at one moment are read in one statement. */
const find = gatherPer((app: App<MailConfig>) =>
  gather((mailIds: string[]) => toSend(app.sql, mailIds), {
    itemsMax: BEGUN_AT_ONCE_MAX,
    atOnce: 1,
    keyOf: (mailId) => mailId,
  }),
);

export async function settle(app: App, tx: Tx, performed: Performed<Delivery, Outcome>[]): Promise<void> {
  const sent = performed.filter(({ result }) => result.kind === "sent");
  if (sent.length > 0) {
    const ids = sent.map(({ message }) => message.body.mailId);
    await markSent(tx.sql, ids, app.clock.now());
  }
  for (const { message, result } of performed) {
    const { mailId } = message.body;
    const log = app.log.in(message.tx.context);
    if (result.kind === "sent") log.info("mail.sent", { mail_id: mailId });
    if (result.kind !== "dropped") continue;
    await giveUp(tx.sql, mailId, "DROPPED", result.why);
    log.info("mail.dropped", { mail_id: mailId, why: result.why });
  }
}

async function retrying(app: App, { body, tx }: Message<Delivery>, { error, attempts }: Failing): Promise<void> {
  await noteError(tx.sql, body.mailId, error);
  app.log.in(tx.context).warn("mail.waits", { mail_id: body.mailId, attempts, why: error });
}

export async function fail(_app: App, { body, tx }: Message<Delivery>, error: string): Promise<void> {
  await giveUp(tx.sql, body.mailId, "FAILED", error);
}

/** Why a mail is not to be sent any more. The order's own service is asked: the copy here may lag behind a payment. */
async function overtaken(app: App, mail: MailRow): Promise<string | undefined> {
  if (mail.template !== "payment_reminder") return undefined;
  const { order } = await app.call(OrderService).getOrder({ orderId: mail.subject_id });
  if (order?.status === OrderStatus.PENDING) return undefined;
  return `the order is ${OrderStatusSchema.value[order?.status ?? OrderStatus.UNSPECIFIED]?.name}`;
}

function outgoing({ from }: MailConfig, mail: MailRow, content: Content): OutgoingMail {
  return {
    messageId: messageIdOf(mail),
    from,
    to: mail.recipient,
    subject: mail.subject,
    text: textOf(content),
    html: htmlOf(mail.subject, content),
    date: mail.created_at,
  };
}
