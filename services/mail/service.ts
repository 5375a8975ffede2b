import * as facts from "../../packages/api/facts.ts";
import { MailService } from "../../packages/api/gen/bodega/mail/v1/mail_pb.ts";
import {
  SendAccountNotice,
  SendAddressTaken,
  SendPasswordReset,
  SendPaymentReminder,
  SendVerificationCode,
} from "../../packages/api/jobs.ts";
import { forDays, forever } from "../../packages/database/retention.ts";
import type { App } from "../../packages/service/app.ts";
import { answers, does, onMany, type Service, service } from "../../packages/service/service.ts";
import type { Environment } from "../../packages/service/variables.ts";
import { type MailConfig, readConfig } from "./config.ts";
import { deliversMail } from "./deliver-mail.ts";
import { getMail } from "./get-mail.ts";
import { listMails } from "./list-mails.ts";
import { onOrderCancelled } from "./on-order-cancelled.ts";
import { onOrderCompleted } from "./on-order-completed.ts";
import { onOrderCreated } from "./on-order-created.ts";
import { onOrderPaid } from "./on-order-paid.ts";
import { onPaymentFailed } from "./on-payment-failed.ts";
import { onPaymentRefunded } from "./on-payment-refunded.ts";
import { onUserDeleted } from "./on-user-deleted.ts";
import { onUserEmailChanged } from "./on-user-email-changed.ts";
import { onUserRegistered } from "./on-user-registered.ts";
import { resendMail } from "./resend-mail.ts";
import { sendAccountNotice } from "./send-account-notice.ts";
import { sendAddressTaken } from "./send-address-taken.ts";
import { sendPasswordReset } from "./send-password-reset.ts";
import { sendPaymentReminder } from "./send-payment-reminder.ts";
import { sendVerificationCode } from "./send-verification-code.ts";
import { SWEEP } from "./sweep-mails.ts";
import { catcherTransport, catches } from "./transport/embedded.ts";
import { smtpTransport } from "./transport/smtp.ts";
import type { MailTransport } from "./transport/transport.ts";

/** Connections a mail server sees at one time; the catcher has none and takes mails in sets. */
const SMTP_AT_ONCE = 8;
const CATCHER_AT_ONCE = 64;

export function mail(env: Environment): Service {
  const config = readConfig(env);
  return service<MailConfig>({
    name: "mail",
    config,
    migrations: new URL("./migrations/", import.meta.url),
    keeps: [
      forever("contacts", "a row a user"),
      forDays(
        365,
        "orders",
        { id: "order_id" },
        "nothing is written about an order that has ended so long ago",
        "status in ('COMPLETED', 'CANCELLED')",
      ),
      forDays(365, "mails", { id: "mail_id" }, "what was sent to whom", "status <> 'QUEUED'"),
      forDays(
        30,
        "caught_mails",
        { column: "caught_at" },
        "what the catcher caught; never more than the newest 100,000",
      ),
    ],
    answers: [answers(MailService, { listMails, getMail, resendMail })],
    listens: config.catcher ? [catches] : [],
    hears: [
      onMany(facts.UserRegistered, onUserRegistered),
      onMany(facts.UserEmailChanged, onUserEmailChanged),
      onMany(facts.UserDeleted, onUserDeleted),
      onMany(facts.OrderCreated, onOrderCreated),
      onMany(facts.OrderPaid, onOrderPaid),
      onMany(facts.OrderCompleted, onOrderCompleted),
      onMany(facts.OrderCancelled, onOrderCancelled),
      onMany(facts.PaymentFailed, onPaymentFailed),
      onMany(facts.PaymentRefunded, onPaymentRefunded),
    ],
    does: [
      does(SendVerificationCode, sendVerificationCode),
      does(SendPasswordReset, sendPasswordReset),
      does(SendAddressTaken, sendAddressTaken),
      does(SendAccountNotice, sendAccountNotice),
      does(SendPaymentReminder, sendPaymentReminder),
      deliversMail(config.smtpUrl === null ? CATCHER_AT_ONCE : SMTP_AT_ONCE, transportFor(config)),
    ],
    schedules: [SWEEP],
  });
}

function transportFor({ smtpUrl }: MailConfig): (app: App<MailConfig>) => MailTransport {
  if (smtpUrl === null) return catcherTransport;
  const smtp = smtpTransport(smtpUrl);
  return () => smtp;
}
