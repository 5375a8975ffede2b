import { Code, type ConnectError } from "@connectrpc/connect";
import { refused } from "../../../packages/service/errors.ts";

/** One message, ready to be handed over. */
export interface OutgoingMail {
  /** With its angle brackets, the same at every hand-over of one mail: <order_received.….0@bodega>. */
  messageId: string;
  /** Such as Bodega <orders@bodega.test>. */
  from: string;
  /** A bare address. */
  to: string;
  subject: string;
  text: string;
  html: string;
  /** When it was written. */
  date: Date;
}

/**
 * Hands over one mail to whoever carries it on.
 *
 * Promises: when `send` resolves, the mail was accepted, with the Message-ID, text and HTML it was given, and its text part first;
 * when it rejects with INVALID_ARGUMENT, this mail will never be accepted; with OUTCOME_UNKNOWN, it may have been, for the answer was lost; any other
 * rejection is worth another try soon; an abort of `signal` ends the wait.
 * Does not promise: that a mail arrives once, since one whose answer was lost is handed over again, always under its one Message-ID; nor that an accepted
 * mail reaches its reader.
 */
export interface MailTransport {
  send(mail: OutgoingMail, signal: AbortSignal): Promise<void>;
}

export function undeliverable(why: string): ConnectError {
  return refused(Code.InvalidArgument, "MAIL_REFUSED", why);
}

export function notNow(why: string): ConnectError {
  return refused(Code.Unavailable, "MAIL_NOT_ACCEPTED_YET", why);
}
