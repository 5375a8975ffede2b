import { isLoopback } from "../../packages/service/address.ts";
import { exposedBy, privateHost } from "../../packages/service/exposure.ts";
import { type Environment, readPort } from "../../packages/service/variables.ts";
import { addressOf } from "./transport/mime.ts";

export interface MailConfig {
  /** Where mails are handed over; null keeps them in the catcher. */
  smtpUrl: string | null;
  /** Such as Bodega <orders@bodega.test>. */
  from: string;
  /** Where the catcher listens: its page and MailHog's API, and SMTP. 0 takes a free port. */
  mailPort: number;
  smtpPort: number;
  /** The catcher shows every code to whoever reaches it, so it has a host of its own: this machine, unless MAIL_HOST says otherwise. */
  mailHost: string;
  /** False where real mail goes out and strangers come in. */
  catcher: boolean;
}

const FROM = "Bodega <orders@bodega.test>";

export function readConfig(env: Environment): MailConfig {
  const mailHost = privateHost(env, env["MAIL_HOST"]);
  if (env["SMTP_URL"] && !isLoopback(mailHost))
    throw new Error(
      `MAIL_HOST=${mailHost} opens the mail catcher to strangers, who then send mail into it, but SMTP_URL sends real mail: unset one of them`,
    );
  return {
    mailHost,
    catcher: !env["SMTP_URL"] || exposedBy(env) === undefined,
    smtpUrl: smtpUrl(env["SMTP_URL"]),
    from: sender(env["MAIL_FROM"] || FROM),
    mailPort: readPort(env, "MAIL_PORT", 8025),
    smtpPort: readPort(env, "SMTP_PORT", 1025),
  };
}

/** The URL may hold a password, so a complaint does not repeat it. */
function smtpUrl(text: string | undefined): string | null {
  if (!text) return null;
  const url = URL.canParse(text) ? new URL(text) : null;
  if (!url || !["smtp:", "smtps:"].includes(url.protocol) || !url.hostname) {
    throw new Error("SMTP_URL is not of the form smtp://[user:password@]host[:port] or smtps://…");
  }
  return text;
}

function sender(text: string): string {
  if (!addressOf(text)) throw new Error(`MAIL_FROM is not of the form Name <address>, found ${JSON.stringify(text)}`);
  return text;
}
