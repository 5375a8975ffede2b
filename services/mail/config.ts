import { addressOf } from "./mime.ts";

export interface MailConfig {
  /** Where mails are handed over; null keeps them in the catcher. */
  smtpUrl: string | null;
  /** Such as Bodega <orders@bodega.test>. */
  from: string;
}

const FROM = "Bodega <orders@bodega.test>";

export function readConfig(env: Record<string, string | undefined>): MailConfig {
  return { smtpUrl: smtpUrl(env["SMTP_URL"]), from: sender(env["MAIL_FROM"] || FROM) };
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
