import { createTransport } from "nodemailer";
import { addressOf, mimeOf } from "./mime.ts";
import { type MailTransport, notNow, undeliverable } from "./transport.ts";

const CONNECT_TIMEOUT_MS = 5_000;
const GREETING_TIMEOUT_MS = 5_000;
const SOCKET_TIMEOUT_MS = 10_000;
const DNS_TIMEOUT_MS = 5_000;
const CLOSE_TIMEOUT_MS = 1_000;

/** Hands mails to an SMTP server, each on a connection of its own: a connection that hangs delays one mail and needs no closing at the end. */
export function smtpTransport(url: string): MailTransport {
  const smtp = createTransport({
    url,
    connectionTimeout: CONNECT_TIMEOUT_MS,
    greetingTimeout: GREETING_TIMEOUT_MS,
    socketTimeout: SOCKET_TIMEOUT_MS,
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
      const sending = smtp.sendMail({
        envelope: { from: addressOf(mail.from) ?? "", to: [mail.to] },
        raw: mimeOf(mail),
      });
      await Promise.race([sending.catch(refusal), aborted(signal)]);
    },
  };
}

/** A 5xx to this sender, recipient or text is for good; a wrong password or a busy server is not the mail's fault. */
function refusal(error: unknown): never {
  const { code, responseCode, message } = error as { code?: string; responseCode?: number; message: string }; // As nodemailer's errors are.
  const aboutMail = code === "EENVELOPE" || code === "EMESSAGE";
  if (aboutMail && (responseCode ?? 0) >= 500) throw undeliverable(`the mail server refused it: ${message}`);
  throw notNow(`the mail server did not take it: ${message}`);
}

async function aborted(signal: AbortSignal): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  signal.addEventListener("abort", () => reject(notNow("the mail server did not answer in time")), { once: true });
  return promise;
}
