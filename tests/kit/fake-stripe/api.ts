// The fake Stripe's API, as far as Bodega uses it. What it does not know it refuses, as Stripe does.
import type { Books } from "./books.ts";
import { type Form, formAt, leavesOf } from "./form.ts";

export interface Answer {
  status: number;
  body: object;
}

/** A refusal. Of a request that never began nothing is kept under its key. */
export class Refusal extends Error {
  answer: Answer;
  begun: boolean;
  constructor(status: number, error: { message: string; type?: string; code?: string; param?: string }, begun = false) {
    super(error.message);
    this.answer = { status, body: { error: { type: "invalid_request_error", ...error } } };
    this.begun = begun;
  }
}

const PARAMETERS: Record<string, string[]> = {
  "POST /v1/checkout/sessions": [
    ...["mode", "client_reference_id", "line_items", "metadata", "payment_intent_data", "success_url", "cancel_url"],
  ],
  "POST /v1/checkout/sessions/:id/expire": [],
  "GET /v1/checkout/sessions/:id": ["expand"],
  "GET /v1/checkout/sessions": ["created", "limit", "starting_after", "expand", "status"],
  "GET /v1/payment_intents/:id": ["expand"],
  "POST /v1/refunds": ["payment_intent", "amount", "metadata"],
  "GET /v1/refunds": ["payment_intent", "created", "limit", "starting_after", "expand"],
  "GET /v1/disputes": ["payment_intent", "created", "limit", "starting_after", "expand"],
};
const THOUSANDTHS = ["bhd", "jod", "kwd", "omr", "tnd"];
const LIMIT_MAX = 100;

/** Throws a Refusal. */
export function answer(books: Books, method: string, path: string, form: Form): object {
  const [, id = ""] = /\/((?:cs|pi)_\w+)/.exec(path) ?? [];
  const route = `${method} ${path.replace(id || "\0", ":id")}`;
  const allowed = PARAMETERS[route];
  if (!allowed) throw new Refusal(404, { message: `Unrecognized request URL (${method}: ${path}).` });
  const foreign = Object.keys(form).find((name) => !allowed.includes(name));
  if (foreign) throw new Refusal(400, { message: `Received unknown parameter: ${foreign}`, param: foreign });
  switch (route) {
    case "POST /v1/checkout/sessions":
      return openSession(books, form);
    case "POST /v1/checkout/sessions/:id/expire":
      return expireSession(books, id);
    case "GET /v1/checkout/sessions/:id":
      return known(books.sessions, id);
    case "GET /v1/checkout/sessions":
      return page(path, [...books.sessions.values()], form);
    case "GET /v1/payment_intents/:id":
      return known(books.intents, id);
    case "POST /v1/refunds":
      return refund(books, form);
    case "GET /v1/refunds":
      return withIntents(books, page(path, [...books.refunds.values()], form), form);
    default:
      return withIntents(books, page(path, [...books.disputes.values()], form), form);
  }
}

function openSession(books: Books, form: Form) {
  const item = formAt(form, "line_items", "0");
  const price = formAt(item, "price_data");
  const currency = text(price, "currency");
  const unit = Number(text(price, "unit_amount"));
  if (!/^[a-z]{3}$/.test(currency))
    throw new Refusal(400, { message: `Invalid currency: ${currency}`, param: "currency" });
  if (!Number.isSafeInteger(unit) || unit <= 0)
    throw new Refusal(400, { message: `Invalid integer: ${unit}`, param: "line_items[0][price_data][unit_amount]" });
  if (THOUSANDTHS.includes(currency) && unit % 10 !== 0)
    throw new Refusal(400, { message: `Amounts in ${currency} must be a multiple of 10`, param: "unit_amount" });
  text(formAt(price, "product_data"), "name");
  if (text(form, "mode") !== "payment") throw new Refusal(400, { message: "mode must be payment", param: "mode" });
  return books.openSession({
    client_reference_id: text(form, "client_reference_id"),
    metadata: leavesOf(formAt(form, "metadata")),
    intentMetadata: leavesOf(formAt(form, "payment_intent_data", "metadata")),
    amount_total: unit * Number(text(item, "quantity")),
    currency,
    success_url: text(form, "success_url"),
    cancel_url: text(form, "cancel_url"),
  });
}

function expireSession(books: Books, id: string) {
  const session = known(books.sessions, id);
  if (session.status !== "open") {
    const message = `Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a status of ${session.status}.`;
    throw new Refusal(400, { message }, true);
  }
  books.expire(id);
  return session;
}

function refund(books: Books, form: Form) {
  const intent = known(books.intents, text(form, "payment_intent"));
  const amount = Number(text(form, "amount"));
  if (!Number.isSafeInteger(amount) || amount <= 0)
    throw new Refusal(400, { message: `Invalid positive integer: ${amount}`, param: "amount" });
  const left = books.left(intent);
  if (intent.status !== "succeeded") throw new Refusal(400, { message: `${intent.id} has no successful charge` }, true);
  if (left === 0)
    throw new Refusal(400, { message: "The charge has been refunded.", code: "charge_already_refunded" }, true);
  if (amount > left) {
    const message = `Refund amount (${amount}) is greater than unrefunded amount on charge (${left})`;
    throw new Refusal(400, { message, param: "amount" }, true);
  }
  return books.refund(intent.id, amount, leavesOf(formAt(form, "metadata")));
}

function page<T extends { id: string; created: number }>(url: string, rows: T[], form: Form) {
  const { limit = "10", starting_after: after, payment_intent: intent, status } = leavesOf(form);
  const { gte = "0" } = leavesOf(formAt(form, "created"));
  if (!(Number(limit) >= 1 && Number(limit) <= LIMIT_MAX))
    throw new Refusal(400, { message: `Invalid limit: ${limit}`, param: "limit" });
  const wanted = Object.entries({ payment_intent: intent, status }).filter(([, value]) => value !== undefined);
  const found = rows
    .filter((row) => row.created >= Number(gte))
    // Each is a property that rows of this list have: PARAMETERS says so.
    .filter((row) => wanted.every(([name, value]) => (row as Record<string, unknown>)[name] === value))
    .toReversed();
  const from = after ? found.findIndex(({ id }) => id === after) + 1 : 0;
  const data = found.slice(from, from + Number(limit));
  return { object: "list", url, data, has_more: found.length > from + data.length };
}

function withIntents(books: Books, list: { data: { payment_intent: string }[] }, form: Form) {
  if (!Object.values(leavesOf(formAt(form, "expand"))).includes("data.payment_intent")) return list;
  return { ...list, data: list.data.map((row) => ({ ...row, payment_intent: books.intents.get(row.payment_intent) })) };
}

function known<T>(rows: Map<string, T>, id: string): T {
  const row = rows.get(id);
  if (!row) throw new Refusal(404, { message: `No such object: '${id}'`, code: "resource_missing", param: "id" });
  return row;
}

function text(form: Form, name: string): string {
  const value = form[name];
  if (typeof value !== "string") throw new Refusal(400, { message: `Missing required param: ${name}.`, param: name });
  return value;
}
