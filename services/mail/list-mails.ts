import type { GetMailRequest, ListMailsRequest } from "../../packages/api/gen/bodega/mail/v1/mail_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { notFound } from "../../packages/service/errors.ts";
import { readPage } from "../../packages/service/paging.ts";
import { mailMessage, stateOf } from "./mail.ts";
import * as store from "./store.ts";

export async function listMails(app: App, _caller: Caller, req: ListMailsRequest) {
  const filter = { status: stateOf(req.status), orderId: req.orderId || null };
  const { page, nextPageToken } = await readPage(
    req,
    filter,
    (before, rowsMax) => store.listMails(app.sql, { ...filter, before }, rowsMax),
    (row) => row.mail_id,
  );
  return { mails: page.map(mailMessage), nextPageToken };
}

export async function getMail(app: App, _caller: Caller, { mailId }: GetMailRequest) {
  const row = await store.findMail(app.sql, mailId);
  if (!row) throw notFound("mail", mailId);
  return { mail: mailMessage(row) };
}
