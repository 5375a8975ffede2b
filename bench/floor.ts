import { openDatabase, type Sql } from "../packages/database/database.ts";
import { migrate } from "../packages/database/migrate.ts";
import { provision } from "../packages/database/provision.ts";
import { systemClock } from "../packages/time/clock.ts";
import { bucketOf } from "../packages/time/ids.ts";
import { systemRandom } from "../packages/time/random.ts";
import type { Stack } from "./stack.ts";

// The floor: the rows of one order, in the order service's own tables, by one prepared statement an order, and nothing else.

export interface FloorPlan {
  kind: "floor";
  databaseUrl: string;
  /** An order id of each customer, for the bucket. */
  orderIds: string[];
  productIds: string[];
  /** Base64 of what the order service keeps for a real order: a reply, which its fact is as long as. */
  reply: string;
}

const NAME = "bodega_floor";
const LINES = 3;
const HASH_BYTES = 32;
const DEADLINE_MS = 4 * 3_600_000;

/** A database of its own on the same server, with the order service's tables. Gives back its URL. */
export async function makeFloor(stack: Stack): Promise<string> {
  const url =
    (await provision(stack.databaseUrl("postgres"), { secret: "bench", names: [NAME], relay: "poll" })).get(NAME) ?? "";
  const database = openDatabase(url, "floor");
  await migrate(database, new URL("../services/order/migrations/", import.meta.url));
  await database.close();
  return url;
}

export function openFloor({ databaseUrl, orderIds, productIds, reply }: FloorPlan) {
  const database = openDatabase(databaseUrl, "floor");
  const clock = systemClock();
  const random = systemRandom(clock);
  const bytes = Buffer.from(reply, "base64");
  const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  return {
    async place(client: number, sequence: number): Promise<void> {
      const beside = orderIds[client % orderIds.length] ?? "";
      const orderId = random.idBeside(beside);
      const now = clock.now();
      const first = client * 31 + sequence * 7;
      const lines = Array.from({ length: LINES }, (_, line) => ({
        productId: productIds[(first + line * 17) % productIds.length] ?? "",
        quantity: 1 + (line % 2),
      }));
      await insertOrder(database.sql, {
        ...{ orderId, customerId: beside, bucket: bucketOf(orderId), now, lines, bytes, traceparent },
        dueAt: new Date(now.getTime() + DEADLINE_MS),
        ...{ factId: random.id(), jobId: random.id() },
      });
    },
    close: () => database.close(),
  };
}

interface FloorOrder {
  orderId: string;
  customerId: string;
  bucket: number;
  now: Date;
  dueAt: Date;
  lines: { productId: string; quantity: number }[];
  bytes: Uint8Array;
  traceparent: string;
  factId: string;
  jobId: string;
}

const HASH = Buffer.alloc(HASH_BYTES, 7);
const JOB_BODY = Buffer.alloc(38, 7);

async function insertOrder(sql: Sql, order: FloorOrder): Promise<void> {
  const { orderId, customerId, bucket, now, dueAt, lines, bytes, traceparent, factId, jobId } = order;
  const [one, two, three] = lines;
  await sql`
    with o as (
      insert into orders (bucket, order_id, customer_id, status, reservation, currency_code, total_minor_units, needs_kitchen, created_at, expires_at, version)
      values (${bucket}, ${orderId}, ${customerId}, 'PENDING', 'AWAITING', 'EUR', 1234, true, ${now}, ${dueAt}, 1)
    ), l as (
      insert into order_lines (bucket, order_id, line, product_id, name, quantity, unit_price_minor_units, prepared)
      values (${bucket}, ${orderId}, 0, ${one?.productId ?? ""}, 'Product number 10', ${one?.quantity ?? 1}, 110, true),
        (${bucket}, ${orderId}, 1, ${two?.productId ?? ""}, 'Product number 11', ${two?.quantity ?? 1}, 111, true),
        (${bucket}, ${orderId}, 2, ${three?.productId ?? ""}, 'Product number 12', ${three?.quantity ?? 1}, 112, true)
    ), h as (
      insert into order_history (bucket, order_id, version, from_status, to_status, cause, actor, trace_id, at)
      values (${bucket}, ${orderId}, 1, null, 'PENDING', 'PlaceOrder', ${customerId}, '4bf92f3577b34da6a3ce929d0e0e4736', ${now})
    ), i as (
      insert into idempotency (bucket, caller, rpc, request_id, request_hash, reply, created_at)
      values (${bucket}, ${customerId}, 'PlaceOrder', ${orderId}, ${HASH}, ${bytes}, ${now})
    ), f as (
      insert into outbox (id, aggregatetype, aggregateid, type, payload, time, traceparent, correlation_id)
      values (${factId}, 'order', ${orderId}, 'order.created', ${bytes}, ${now}, ${traceparent}, '4bf92f3577b34da6a3ce929d0e0e4736')
    )
    insert into jobs (bucket, job_id, kind, target, type, key, body, due_at, source, time, traceparent, correlation_id)
    values (${bucket}, ${jobId}, 'job', null, 'order.payment-deadline', ${orderId}, ${JOB_BODY}, ${dueAt}, 'bodega/order', ${now}, ${traceparent}, '4bf92f3577b34da6a3ce929d0e0e4736')`;
}
