import type { GetMailRequest, ListMailsRequest } from "../../packages/api/gen/bodega/mail/v1/mail_pb.ts";
import { isUuid } from "../../packages/database/ids.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { invalidField, notFound } from "../../packages/service/errors.ts";
import { mailMessage, stateOf } from "./mail.ts";
import * as store from "./store.ts";

const PAGE_SIZE = 50;

export async function listMails(app: App, _caller: Caller, { pageSize, pageToken, status, orderId }: ListMailsRequest) {
  if (pageToken && !isUuid(pageToken)) throw invalidField("page_token", "is not a token this list gave");
  const size = pageSize || PAGE_SIZE;
  const rows = await store.listMails(
    app.sql,
    { status: stateOf(status), orderId: orderId || null, before: pageToken || null },
    size + 1,
  );
  const page = rows.slice(0, size);
  return { mails: page.map(mailMessage), nextPageToken: rows.length > size ? (page.at(-1)?.mail_id ?? "") : "" };
}

export async function getMail(app: App, _caller: Caller, { mailId }: GetMailRequest) {
  const row = await store.findMail(app.sql, mailId);
  if (!row) throw notFound("mail", mailId);
  return { mail: mailMessage(row) };
}
