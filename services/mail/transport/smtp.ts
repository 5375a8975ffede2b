import { Readable } from "node:stream";
import { createTransport } from "nodemailer";
import { outcomeUnknown } from "../../../packages/service/errors.ts";
import { sleep } from "../../../packages/time/wait.ts";
import { addressOf, mimeOf } from "./mime.ts";
import { type MailTransport, notNow, undeliverable } from "./transport.ts";

const CONNECT_TIMEOUT_MS = 5_000;
const GREETING_TIMEOUT_MS = 5_000;
const DNS_TIMEOUT_MS = 5_000;
/** From the greeting to the end of the text. Until then the server has no mail. */
const TALK_TIMEOUT_MS = 60_000;
/** Then it may take its time, and who is impatient has the mail delivered twice (RFC 5321, 4.5.3.2.6). */
const ANSWER_TIMEOUT_MS = 10 * 60_000;
const CLOSE_TIMEOUT_MS = 1_000;

/** Hands mails to an SMTP server, each on a connection of its own: a connection that hangs delays one mail and needs no closing at the end. */
export function smtpTransport(url: string): MailTransport {
  const smtp = createTransport({
    url,
    connectionTimeout: CONNECT_TIMEOUT_MS,
    greetingTimeout: GREETING_TIMEOUT_MS,
    socketTimeout: ANSWER_TIMEOUT_MS,
    socketCloseTimeout: CLOSE_TIMEOUT_MS,
    dnsTimeout: DNS_TIMEOUT_MS,
    disableFileAccess: true,
    disableUrlAccess: true,
    logger: false,
    pool: false,
  });
  return {
    async send(mail, signal) {
      signal.throwIfAborted();
      const text = Readable.from([Buffer.from(mimeOf(mail))]);
      const ended = new AbortController();
      const silent = new AbortController();
      let handedOver = false;
      text.once("end", () => {
        handedOver = true;
      });
      void sleep(TALK_TIMEOUT_MS, ended.signal).then(() => handedOver || silent.abort());
      try {
        await smtp.sendMail({
          envelope: { from: addressOf(mail.from) ?? "", to: [mail.to] },
          raw: text,
          signal: AbortSignal.any([signal, silent.signal]),
        });
      } catch (error) {
        throw refusal(error, handedOver);
      } finally {
        ended.abort();
      }
    },
  };
}

/** What nodemailer's errors carry. */
interface SmtpError {
  message: string;
  /** Such as RCPT TO: what the server was told last. */
  command?: string;
  responseCode?: number;
  response?: string;
}

/** What a server says of mailboxes (5.1, 5.2) and of what is written (5.6); 5.7 is its policy, and the rest its own state (RFC 3463). */
const ABOUT_THIS_MAIL = /^[126]$/;
/** A login that is missing or wrong, or a conversation out of order: how we are set up. */
const ABOUT_US = [503, 530, 535];

/**
 * Only what a server has against this recipient or this text is for good. That it does not take our login or our sender is about how we are set up: a person mends it,
 * and the mails that wait go out.
 */
function refusal(error: unknown, handedOver: boolean): Error {
  const { message, command, responseCode = 0, response = "" } = error as SmtpError; // As nodemailer's errors are.
  if (handedOver && responseCode === 0)
    return outcomeUnknown(`the mail server was given the mail and did not say that it took it: ${message}`);
  const recipientOrText = command === "RCPT TO" || command === "DATA";
  const [, subject] = /^\d{3}[ -]5\.(\d{1,3})\.\d{1,3}\b/.exec(response) ?? [];
  const about = subject === undefined || ABOUT_THIS_MAIL.test(subject);
  if (responseCode >= 500 && recipientOrText && about && !ABOUT_US.includes(responseCode))
    return undeliverable(`the mail server refused it: ${message}`);
  return notNow(`the mail server did not take it: ${message}`);
}
