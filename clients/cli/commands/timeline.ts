// One order's whole story: what the event log has of it, its moves, its checkouts and its mails, in one line of time.
import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import { type Event, EventLogService } from "../../../packages/api/gen/bodega/eventlog/v1/eventlog_pb.ts";
import { type Mail, MailService, MailStatusSchema } from "../../../packages/api/gen/bodega/mail/v1/mail_pb.ts";
import {
  type OrderHistoryEntry,
  OrderService,
  OrderStatusSchema,
} from "../../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { type Payment, PaymentService } from "../../../packages/api/gen/bodega/payment/v1/payment_pb.ts";
import { MoneySchema } from "../../../packages/api/gen/bodega/type/v1/money_pb.ts";
import type { Group } from "../command-line.ts";
import { all } from "../names.ts";
import type { Shop } from "../shop.ts";
import { money, span, word } from "../words.ts";

type Kind = "fact" | "move" | "ticket" | "payment" | "mail";

interface Moment {
  /** Milliseconds since 1970. */
  at: number;
  kind: Kind;
  what: string;
  detail: string;
}

export const timeline: Group = (group, at) => {
  group
    .command("timeline")
    .description("One order's whole story, with the times between; for admins")
    .argument("<order>", "its id")
    .action(async (orderId) => {
      const shop = at();
      const moments = await momentsOf(shop, orderId);
      const entries = moments.map((moment, i) => ({
        ...moment,
        at: new Date(moment.at).toISOString(),
        afterMs: moment.at - (moments[i - 1]?.at ?? moment.at),
      }));
      shop.showOwn({ orderId, entries }, () =>
        shop.terminal.table(
          ["AT", "AFTER", "KIND", "WHAT", "DETAIL"],
          entries.map((each, i) => [
            each.at.replace("T", " "),
            i === 0 ? "" : span(each.afterMs),
            each.kind,
            each.what,
            each.detail,
          ]),
        ),
      );
    });
};

/** In order of time; what happened in one millisecond, facts first. */
async function momentsOf(shop: Shop, orderId: string): Promise<Moment[]> {
  // Before the lists, which are empty for an order that is nobody's.
  const { entries } = await shop.call(OrderService).getOrderHistory({ orderId });
  const { order } = await shop.call(OrderService).getOrder({ orderId });
  const [facts, payments, mails] = await Promise.all([
    all(
      (page) => shop.call(EventLogService).listEvents({ ...page, orderId, oldestFirst: true }),
      ({ events }) => events,
    ),
    all(
      (page) => shop.call(PaymentService).listPayments({ ...page, orderId }),
      (page) => page.payments,
    ),
    all(
      (page) => shop.call(MailService).listMails({ ...page, orderId }),
      (page) => page.mails,
    ),
  ]);
  const moments = [
    ...facts.map(ofFact),
    ...entries.map((entry) => ofMove(entry, order?.customerId)),
    ...payments.map(ofCheckout),
    ...mails.map(ofMail),
  ];
  return moments.sort((a, b) => a.at - b.at);
}

const ms = (at: Timestamp | undefined) => (at ? timestampMs(at) : 0);

const KINDS: Record<string, Kind> = { ticket: "ticket", payment: "payment" };

function ofFact({ type, time, body, source }: Event): Moment {
  const kind = KINDS[type.split(".")[0] ?? ""] ?? "fact";
  return { at: ms(time), kind, what: type, detail: detailOf(body) || source };
}

/** What people look for in a body. */
const TOLD = ["reason", "cancelReason", "amount", "total", "staff", "act"];

function detailOf(body: string): string {
  if (body === "") return "its body cannot be read";
  const fields: unknown = JSON.parse(body);
  if (typeof fields !== "object" || fields === null) return "";
  return TOLD.flatMap((name) => {
    const value: unknown = Reflect.get(fields, name);
    if (value === undefined || value === "") return [];
    return `${name} ${shown(value)}`;
  }).join(", ");
}

function shown(value: unknown): string {
  if (typeof value !== "object" || value === null) return String(value);
  if (!("currencyCode" in value)) return Object.values(value).join(" ");
  // Part of what JSON.parse gave.
  return money(fromJson(MoneySchema, value as JsonValue));
}

function ofMove({ from, to, cause, actor, at }: OrderHistoryEntry, customerId?: string): Moment {
  const [before, after] = [word(OrderStatusSchema, from), word(OrderStatusSchema, to)];
  return {
    at: ms(at),
    kind: "move",
    what: `${before || "NEW"} to ${after}`,
    detail: `${cause} by ${actor === customerId ? "its customer" : actor}`,
  };
}

function ofCheckout({ createdAt, amount, provider }: Payment): Moment {
  return { at: ms(createdAt), kind: "payment", what: "checkout opened", detail: `${money(amount)} at ${provider}` };
}

function ofMail({ template, status, to, createdAt, sentAt, error }: Mail): Moment {
  const what = `${template} ${word(MailStatusSchema, status).toLowerCase()}`;
  return { at: ms(sentAt ?? createdAt), kind: "mail", what, detail: error || `to ${to}` };
}
