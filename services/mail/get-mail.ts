import type { GetMailRequest } from "../../packages/api/gen/bodega/mail/v1/mail_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { notFound } from "../../packages/service/errors.ts";
import { mailMessage } from "./mail.ts";
import { findMail } from "./store.ts";

export async function getMail(app: App, _caller: Caller, { mailId }: GetMailRequest) {
  const row = await findMail(app.sql, mailId);
  if (!row) throw notFound("mail", mailId);
  return { mail: mailMessage(row) };
}
