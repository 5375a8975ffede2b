import { MailService } from "../../packages/api/gen/bodega/mail/v1/mail_pb.ts";
import { SendPasswordReset, SendPaymentReminder, SendVerificationCode } from "../../packages/api/jobs.ts";
import type { App } from "../../packages/service/app.ts";
import { answers, does, type Service, service } from "../../packages/service/service.ts";
import type { MailConfig } from "./config.ts";
import { deliversMail } from "./deliver-mail.ts";
import { catcherTransport } from "./embedded.ts";
import { getMail, listMails } from "./list-mails.ts";
import { heard } from "./on-facts.ts";
import { resendMail } from "./resend-mail.ts";
import { sendPasswordReset, sendVerificationCode } from "./send-code.ts";
import { sendPaymentReminder } from "./send-payment-reminder.ts";
import { smtpTransport } from "./smtp.ts";
import type { MailTransport } from "./transport.ts";

/** Connections a mail server sees at one time; the catcher has none and takes mails in sets. */
const SMTP_AT_ONCE = 8;
const CATCHER_AT_ONCE = 64;

export const mail = (config: MailConfig): Service =>
  service<MailConfig>({
    name: "mail",
    config,
    migrations: new URL("./migrations/", import.meta.url),
    answers: [answers(MailService, { listMails, getMail, resendMail })],
    hears: heard,
    does: [
      does(SendVerificationCode, sendVerificationCode),
      does(SendPasswordReset, sendPasswordReset),
      does(SendPaymentReminder, sendPaymentReminder),
      deliversMail(config.smtpUrl === null ? CATCHER_AT_ONCE : SMTP_AT_ONCE, transportFor(config)),
    ],
  });

function transportFor({ smtpUrl }: MailConfig): (app: App<MailConfig>) => MailTransport {
  if (smtpUrl === null) return catcherTransport;
  const smtp = smtpTransport(smtpUrl);
  return () => smtp;
}
