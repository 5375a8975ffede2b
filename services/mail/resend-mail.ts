import { Code } from "@connectrpc/connect";
import type { ResendMailRequest } from "../../packages/api/gen/bodega/mail/v1/mail_pb.ts";
import { DeliverMail } from "../../packages/api/jobs.ts";
import type { App } from "../../packages/service/app.ts";
import { audit } from "../../packages/service/audit.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { notFound, refused } from "../../packages/service/errors.ts";
import { mailMessage } from "./mail.ts";
import { findMail, type MailRow, requeue } from "./store.ts";

/** Hands a mail over once more, under its Message-ID. One that is queued is on its way already and stays as it is. */
export async function resendMail(app: App, caller: Caller, { mailId }: ResendMailRequest) {
  return app.transact(async (tx) => {
    refuseWhatCannotGoAgain(mailId, await findMail(tx.sql, mailId));
    if (await requeue(tx.sql, mailId)) {
      tx.enqueue(DeliverMail, { mailId });
      audit(app, tx, caller, { subject: mailId });
      app.log.info("mail.resent", { mail_id: mailId, actor: caller.userId });
    }
    const mail = await findMail(tx.sql, mailId);
    if (!mail) throw notFound("mail", mailId);
    return { mail: mailMessage(mail) };
  });
}

function refuseWhatCannotGoAgain(mailId: string, mail: MailRow | null): void {
  if (!mail) throw notFound("mail", mailId);
  if (mail.holds_code) {
    throw refused(
      Code.FailedPrecondition,
      "MAIL_HOLDS_CODE",
      `mail ${mailId} held a code, which is not kept: have a new code sent instead`,
    );
  }
  if (mail.recipient === "")
    throw refused(
      Code.FailedPrecondition,
      "ACCOUNT_DELETED",
      `mail ${mailId} went to somebody whose account was deleted`,
    );
  if (mail.status === "DROPPED")
    throw refused(Code.FailedPrecondition, "MAIL_DROPPED", `mail ${mailId} was dropped and is not sent: ${mail.error}`);
}
