import { fromBinary } from "@bufbuild/protobuf";
import { GetBacklogResponseSchema, ListParkedResponseSchema } from "../../packages/api/gen/bodega/ops/v1/ops_pb.ts";
import { ListOrdersResponseSchema, PlaceOrderResponseSchema } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { ReconcileResponseSchema } from "../../packages/api/gen/bodega/stock/v1/stock_pb.ts";
import { PaymentDeadline } from "../../packages/api/jobs.ts";
import type { Sql } from "../../packages/database/database.ts";
import { carriedBy } from "../../scripts/copy/carried.ts";
import { type Client, must } from "./client.ts";
import type { Acknowledgement, Load } from "./load.ts";
import type { Shop } from "./shop.ts";

/** Everything the checks look at, read once, after quiet. */
export interface State {
  /** Business time, and how many times as fast as the machine's it runs. */
  now: Date;
  scale: number;
  /** When the program or its database was down: time that no deadline can be blamed for. */
  outages: { from: Date; to: Date }[];
  acknowledged: Acknowledgement[];
  orders: OrderState[];
  /** Ids as the customers' own lists tell them. */
  listed: string[];
  /** What each idempotency key answers. */
  answers: Acknowledgement[];
  /** Orders with an armed timer. */
  armed: string[];
  stock: StockState[];
  /** Between stock's ledger and its columns. */
  differences: number;
  mails: MailState[];
  caught: CaughtState[];
  checkouts: CheckoutState[];
  parked: string[];
  /** What the client met and never should. */
  unexpected: string[];
}

export interface OrderState {
  orderId: string;
  customerId: string;
  status: string;
  reservation: string;
  total: bigint;
  createdAt: Date;
  expiresAt: Date;
  paidAt: Date | null;
  cancelledAt: Date | null;
  cancelReason: string | null;
  lines: { productId: string; quantity: number }[];
}

export interface StockState {
  productId: string;
  onHand: number;
  reserved: number;
  /** What the test put there. */
  put: number;
}

export interface MailState {
  recipient: string;
  subject: string;
  template: string;
  orderId: string | null;
  status: string;
}

export interface CaughtState {
  messageId: string;
  recipient: string;
  subject: string;
  handOvers: number;
}

/** The embedded provider's own ledger. */
export interface CheckoutState {
  paymentId: string;
  orderId: string;
  captured: bigint;
  refunded: bigint;
}

/** `broker` only where facts and jobs are carried by the embedded one. */
export type Databases = Record<"order" | "stock" | "payment" | "mail", Sql> & { broker?: Sql };

/** What waits anywhere, timers included: 0 is quiet. */
export async function waiting(client: Client, adminToken: string, { broker }: Databases): Promise<number> {
  const call = { method: "GET", path: "/v1/backlog", token: adminToken } as const;
  const { backlogs } = await must(client.ask(GetBacklogResponseSchema, call));
  const kept = backlogs.reduce((sum, each) => sum + each.outbox + each.jobsDue + each.jobsScheduled, 0n);
  if (!broker) return Number(kept);
  return Number(kept) + (await carriedBy(broker));
}

export async function readState(
  client: Client,
  shop: Shop,
  load: Load,
  databases: Databases,
): Promise<Omit<State, "now" | "scale" | "outages">> {
  const { order, stock, payment, mail } = databases;
  const reconcile = { method: "GET", path: "/v1/stocks:reconcile", token: shop.adminToken } as const;
  return {
    acknowledged: load.acknowledged,
    orders: await order<OrderState[]>`
      select order_id as "orderId", customer_id as "customerId", status, reservation, total_minor_units as total, created_at as "createdAt",
        expires_at as "expiresAt", paid_at as "paidAt", cancelled_at as "cancelledAt", cancel_reason as "cancelReason",
        (select json_agg(json_build_object('productId', product_id, 'quantity', quantity)) from order_lines l where l.order_id = o.order_id) as lines
      from orders o order by order_id`,
    listed: await listedOrders(client, shop),
    answers: await answers(order),
    armed: (await order<{ key: string }[]>`select key from jobs where type = ${PaymentDeadline.type}`).map(
      ({ key }) => key,
    ),
    stock: await stockOf(stock, shop, load),
    differences: (await must(client.ask(ReconcileResponseSchema, reconcile))).differences.length,
    mails: await mail<MailState[]>`select recipient, subject, template, order_id as "orderId", status from mails`,
    caught: await mail<CaughtState[]>`
      select message_id as "messageId", substring(data from '\nTo: ([^\r]*)') as recipient, substring(data from '\nSubject: ([^\r]*)') as subject,
        jsonb_array_length(received) as "handOvers"
      from caught_mails`,
    checkouts: await payment<CheckoutState[]>`
      select payment_id as "paymentId", order_id as "orderId", case when outcome = 'captured' then amount_minor_units else 0 end as captured,
        (select coalesce(sum(amount_minor_units), 0)::bigint from provider_refunds r where r.provider_reference = c.provider_reference) as refunded
      from provider_checkouts c`,
    parked: await parkedMessages(client, shop.adminToken),
    unexpected: client.unexpected,
  };
}

async function listedOrders(client: Client, { customers }: Shop): Promise<string[]> {
  const listed: string[] = [];
  for (const { token } of customers) {
    for (let pageToken = "", more = true; more; more = pageToken !== "") {
      const call = { method: "GET", path: `/v1/orders?pageSize=100&pageToken=${pageToken}`, token } as const;
      const page = await must(client.ask(ListOrdersResponseSchema, call));
      listed.push(...page.orders.map(({ orderId }) => orderId));
      pageToken = page.nextPageToken;
    }
  }
  return listed;
}

async function answers(order: Sql): Promise<Acknowledgement[]> {
  const rows = await order<{ caller: string; request_id: string; reply: Uint8Array }[]>`
    select caller, request_id, reply from idempotency where rpc = 'PlaceOrder'`;
  return rows.map(({ caller, request_id, reply }) => ({
    customerId: caller,
    requestId: request_id,
    orderId: fromBinary(PlaceOrderResponseSchema, reply).order?.orderId ?? "",
  }));
}

async function stockOf(stock: Sql, { products }: Shop, { restocked }: Load): Promise<StockState[]> {
  const rows = await stock<Omit<StockState, "put">[]>`
    select product_id as "productId", on_hand as "onHand", reserved from stock_items
    where product_id = any(${products.map(({ productId }) => productId)})`;
  return rows.map((row) => {
    const initial = products.find(({ productId }) => productId === row.productId)?.initial ?? 0;
    return { ...row, put: initial + (restocked.get(row.productId) ?? 0) };
  });
}

async function parkedMessages(client: Client, token: string): Promise<string[]> {
  const call = { method: "GET", path: "/v1/parked?pageSize=100", token } as const;
  const { parked } = await must(client.ask(ListParkedResponseSchema, call));
  return parked.map(({ service, type, key, error }) => `${service} parked ${type} of ${key}: ${error}`);
}
