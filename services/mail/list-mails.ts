import { type ListMailsRequest, MailStatus } from "../../packages/api/gen/bodega/mail/v1/mail_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { readPage } from "../../packages/service/paging.ts";
import { stateOf } from "../../packages/service/states.ts";
import { mailMessage } from "./mail.ts";
import * as store from "./store.ts";

export async function listMails(app: App, _caller: Caller, req: ListMailsRequest) {
  const filter = { status: stateOf(MailStatus, req.status), orderId: req.orderId || null };
  const { page, nextPageToken } = await readPage(
    req,
    filter,
    (before, rowsMax) => store.listMails(app.sql, { ...filter, before }, rowsMax),
    (row) => row.mail_id,
  );
  return { mails: page.map(mailMessage), nextPageToken };
}
