import type { Sql } from "../../packages/database/database.ts";
import { insertRows, rowsOf, table } from "../../packages/database/table.ts";
import { uuidV7Floor } from "../../packages/time/ids.ts";
import type { Content } from "./templates.tsx";

// Every statement of the mail service. The catcher's come last.

export interface MailRow {
  mail_id: string;
  template: string;
  subject_id: string;
  step: number;
  recipient: string;
  order_id: string | null;
  subject: string;
  /** Null when the mail held a code and is done with. */
  content: Content | null;
  holds_code: boolean;
  status: MailState;
  attempts: number;
  error: string;
  created_at: Date;
  sent_at: Date | null;
}

export type MailState = "QUEUED" | "SENT" | "FAILED" | "DROPPED";
export type NewMail = Omit<MailRow, "attempts" | "sent_at">;

export interface Contact {
  user_id: string;
  /** Empty when the account was deleted. */
  email: string;
  display_name: string;
}

export type OrderState = "PENDING" | "PAID" | "COMPLETED" | "CANCELLED";

export interface OrderCopy {
  order_id: string;
  status: OrderState;
  /** A fact that lacks it is refused by the table. */
  total_minor_units: bigint | undefined;
  currency_code: string;
}

export async function saveContacts(sql: Sql, contacts: Contact[]): Promise<void> {
  for (const { user_id, email, display_name } of contacts) {
    await sql`insert into contacts (user_id, email, display_name) values (${user_id}, ${email}, ${display_name})
      on conflict (user_id) do update set email = excluded.email, display_name = excluded.display_name
      where not contacts.gone`;
  }
}

/** Their rows stay, without anything in them: facts of their orders still come, and are mailed to nobody. */
export async function forgetContacts(sql: Sql, userIds: string[]): Promise<void> {
  await sql`
    update mails set recipient = '', subject = '', error = '', content = '{"name": "", "paragraphs": []}'
    from contacts c where c.user_id = any(${userIds}) and not c.gone and mails.recipient = c.email and mails.status <> 'QUEUED'`;
  await sql`
    insert into contacts (user_id, email, display_name, gone) select unnest(${userIds}::uuid[]), '', '', true
    on conflict (user_id) do update set email = '', display_name = '', gone = true`;
}

export async function contactsOf(sql: Sql, userIds: string[]): Promise<Map<string, Contact>> {
  const rows = await sql<Contact[]>`select user_id, email, display_name from contacts where user_id = any(${userIds})`;
  return new Map(rows.map((row) => [row.user_id, row]));
}

const ORDERS = table("orders", {
  order_id: "uuid",
  status: "text",
  total_minor_units: "bigint",
  currency_code: "text",
});

/** `orders` names each order once. */
export async function saveOrders(sql: Sql, orders: OrderCopy[]): Promise<void> {
  await sql`
    ${insertRows(sql, ORDERS, orders)} on conflict (order_id) do update set status = excluded.status`;
}

/** Undefined when nothing was heard of the order yet. */
export async function orderState(sql: Sql, orderId: string): Promise<OrderState | undefined> {
  const [row] = await sql<{ status: OrderState }[]>`select status from orders where order_id = ${orderId}`;
  return row?.status;
}

const MAILS = table("mails", {
  mail_id: "uuid",
  template: "text",
  subject_id: "text",
  step: "integer",
  recipient: "text",
  order_id: "uuid",
  subject: "text",
  content: "json",
  holds_code: "boolean",
  status: "text",
  error: "text",
  created_at: "timestamptz",
});

/** Writes the mails that were not written before and gives back the ids of those. */
export async function insertMails(sql: Sql, mails: NewMail[]): Promise<Set<string>> {
  const rows = await sql<{ mail_id: string }[]>`
    ${insertRows(sql, MAILS, mails)} on conflict on constraint mails_once do nothing returning mail_id`;
  return new Set(rows.map((row) => row.mail_id));
}

/** How many mails of a template are about each subject. */
export async function countMails(sql: Sql, template: string, subjectIds: string[]): Promise<Map<string, number>> {
  const rows = await sql<{ subject_id: string; count: number }[]>`
    select subject_id, count(*)::int as count from mails where template = ${template} and subject_id = any(${subjectIds}) group by subject_id`;
  return new Map(rows.map((row) => [row.subject_id, row.count]));
}

/** The latest step for which a mail was written; 0 when there is none. */
export async function latestStep(sql: Sql, template: string, subjectId: string): Promise<number> {
  const [row] = await sql<{ step: number }[]>`
    select coalesce(max(step), 0) as step from mails where template = ${template} and subject_id = ${subjectId}`;
  return row?.step ?? 0;
}

/** Drops what is queued of a template, up to a step, about some subjects. */
export async function dropQueued(
  sql: Sql,
  template: string,
  subjectIds: string[],
  stepMax: number,
  why: string,
): Promise<void> {
  await sql`update mails set status = 'DROPPED', error = ${why}
    where template = ${template} and subject_id = any(${subjectIds}) and step <= ${stepMax} and status = 'QUEUED'`;
}

/** Mails that are still to be sent; null for each of which nothing is to be done any more. */
export async function toSend(sql: Sql, mailIds: string[]): Promise<(MailRow | null)[]> {
  const rows = await sql<MailRow[]>`
    select * from mails where mail_id = any(${mailIds}) and status in ('QUEUED', 'FAILED')`;
  const found = new Map(rows.map((row) => [row.mail_id, row]));
  return mailIds.map((mailId) => found.get(mailId) ?? null);
}

/** Mails that were written before then, are still to be sent, and have no job. */
export async function findForgotten(sql: Sql, job: string, writtenBefore: Date, rowsMax: number): Promise<string[]> {
  const rows = await sql<{ mail_id: string }[]>`
    select mail_id from mails m where status = 'QUEUED' and mail_id < ${uuidV7Floor(writtenBefore.getTime())}
      and not exists (select from jobs j where j.type = ${job} and j.key = m.mail_id::text)
    order by mail_id limit ${rowsMax}`;
  return rows.map((row) => row.mail_id);
}

// An attempt is counted with what came of it: a row is written once more, not twice.

export async function markSent(sql: Sql, mailIds: string[], now: Date): Promise<void> {
  await sql`update mails set status = 'SENT', sent_at = ${now}, error = '', attempts = attempts + 1,
      content = case when holds_code then null else content end
    where mail_id = any(${mailIds})`;
}

/** Failed or dropped: what holds a code is not kept. */
export async function giveUp(sql: Sql, mailId: string, status: "FAILED" | "DROPPED", why: string): Promise<void> {
  await sql`update mails set status = ${status}, error = ${why}, attempts = attempts + 1,
      content = case when holds_code then null else content end
    where mail_id = ${mailId} and status in ('QUEUED', 'FAILED')`;
}

/** Nothing happens to a mail that was dropped meanwhile. */
export async function noteError(sql: Sql, mailId: string, why: string): Promise<void> {
  await sql`update mails set status = 'QUEUED', error = ${why}, attempts = attempts + 1 where mail_id = ${mailId} and status in ('QUEUED', 'FAILED')`;
}

/** True when this call queued it: of two, one. */
export async function requeue(sql: Sql, mailId: string): Promise<boolean> {
  const rows =
    await sql`update mails set status = 'QUEUED', error = '' where mail_id = ${mailId} and status in ('SENT', 'FAILED') returning mail_id`;
  return rows.length === 1;
}

export async function findMail(sql: Sql, mailId: string): Promise<MailRow | null> {
  const [row] = await sql<MailRow[]>`select * from mails where mail_id = ${mailId}`;
  return row ?? null;
}

export interface MailFilter {
  status: MailState | null;
  orderId: string | null;
  /** Only mails older than this one. */
  before: string | null;
}

/** Newest first: ids are in the order of their making. */
export function listMails(sql: Sql, { status, orderId, before }: MailFilter, rowsMax: number): Promise<MailRow[]> {
  return sql<MailRow[]>`
    select * from mails where true
      ${status === null ? sql`` : sql`and status = ${status}`}
      ${orderId === null ? sql`` : sql`and order_id = ${orderId}`}
      ${before === null ? sql`` : sql`and mail_id < ${before}`}
    order by mail_id desc limit ${rowsMax}`;
}

export interface CaughtRow {
  caught_id: string;
  message_id: string;
  sender: string;
  data: string;
  caught_at: Date;
  /** Everybody it was handed over for. */
  recipients: string[];
  /** Each hand-over, oldest first. */
  received: { helo: string; at: string }[];
}

export interface Caught {
  caught_id: string;
  message_id: string;
  sender: string;
  data: string;
  recipients: string[];
  helo: string;
}

const CAUGHT_MAILS = table("caught_mails", {
  caught_id: "uuid",
  message_id: "text",
  sender: "text",
  data: "text",
  recipients: "text[]",
  helo: "text",
});

/** Keeps each mail once, and every hand-over of it; `mails` names a Message-ID once. Gives back their places in the order of arrival. */
export async function insertCaught(sql: Sql, mails: Caught[], now: Date): Promise<bigint[]> {
  const rows = await sql<{ message_id: string; position: bigint }[]>`
    insert into caught_mails as c (caught_id, message_id, sender, data, caught_at, recipients, received)
    select caught_id, message_id, sender, data, ${now}, recipients, jsonb_build_array(jsonb_build_object('helo', helo, 'at', ${now}::timestamptz))
    from ${rowsOf(sql, CAUGHT_MAILS, mails)} as came
    order by caught_id
    on conflict (message_id) do update set received = c.received || excluded.received,
      recipients = array(select distinct unnest(c.recipients || excluded.recipients))
    returning position, message_id`;
  const kept = new Map(rows.map((row) => [row.message_id, row.position]));
  return mails.map(({ message_id }) => {
    const position = kept.get(message_id);
    if (position === undefined) throw new Error(`caught mail ${message_id} was not kept`);
    return position;
  });
}

export async function deleteCaughtUpTo(sql: Sql, position: bigint): Promise<void> {
  await sql`delete from caught_mails where position <= ${position}`;
}

export type CaughtSearch = { kind: "to" | "from" | "containing"; query: string } | null;

/** Newest first. Text is found whatever its case. */
export async function listCaught(
  sql: Sql,
  search: CaughtSearch,
  start: number,
  limit: number,
): Promise<{ rows: CaughtRow[]; total: number }> {
  const found = matching(sql, search);
  const rows = await sql<
    CaughtRow[]
  >`select * from caught_mails where ${found} order by position desc offset ${start} limit ${limit}`;
  const [counted] = await sql<{ count: number }[]>`select count(*)::int as count from caught_mails where ${found}`;
  return { rows, total: counted?.count ?? 0 };
}

export async function findCaught(sql: Sql, caughtId: string): Promise<CaughtRow | null> {
  const [row] = await sql<CaughtRow[]>`select * from caught_mails where caught_id = ${caughtId}`;
  return row ?? null;
}

export async function deleteCaught(sql: Sql, caughtId: string | null): Promise<void> {
  await sql`delete from caught_mails where ${caughtId}::uuid is null or caught_id = ${caughtId}`;
}

function matching(sql: Sql, search: CaughtSearch) {
  if (search === null) return sql`true`;
  const query = search.query.toLowerCase();
  if (search.kind === "from") return sql`strpos(lower(sender), ${query}) > 0`;
  if (search.kind === "containing") return sql`strpos(lower(data), ${query}) > 0`;
  return sql`exists (select from unnest(recipients) r where strpos(lower(r), ${query}) > 0)`;
}
