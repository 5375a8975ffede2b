// How the main seed lost, doubled and invented messages. Each test begins with it.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { OpsService } from "../../packages/api/gen/bodega/ops/v1/ops_pb.ts";
import { SendPaymentReminder } from "../../packages/api/jobs.ts";
import { addCustomer, addProduct, mailsAbout, orderNow, place, stockOf } from "../kit/customers.ts";
import { eventually } from "../kit/eventually.ts";
import { ask } from "../kit/messages.ts";
import { type System, startSystem, type User } from "../kit/system.ts";

setDefaultTimeout(60_000);

let system: System;
let ann: User;
beforeAll(async () => {
  system = await startSystem();
  ann = await addCustomer(system);
});
afterAll(() => system.close());

test("s4-11 ghost events: what is rolled back at commit was never told to anybody", async () => {
  // The seed sent to Kafka and RabbitMQ inside the transaction: a failed commit left an order that only its readers believed in.
  const productId = await addProduct(system, { sku: "s4-11" });
  const victim = await addCustomer(system, "victim");
  const orders = system.app("order").sql;
  await orders.unsafe(`
    create function refuse_commit() returns trigger language plpgsql as $$ begin raise exception 'the commit fails'; end $$;
    create constraint trigger at_commit after insert on orders deferrable initially deferred
      for each row when (new.customer_id = '${victim.userId}') execute function refuse_commit()`);
  await expect(place(system, victim, productId, 2, "s4-11")).rejects.toThrow("internal");
  await system.settle();
  expect(await ordersTold()).toEqual([]);
  expect(await stockOf(system, productId)).toEqual({ onHand: 10, reserved: 0, available: 10 });
  const [jobs] = await orders<{ count: bigint }[]>`select count(*) as count from jobs`;
  expect(jobs?.count).toBe(0n);
  await orders.unsafe("drop trigger at_commit on orders");
  const { orderId } = await place(system, victim, productId, 2, "s4-11");
  await system.settle();
  expect(await ordersTold()).toEqual([orderId]);
});

test("s4-12 acknowledged by one broker and lost with it: a fact stays until the broker has it for good", async () => {
  // The seed asked one broker for its word (acks=1), over topics of one copy: what that broker lost was gone.
  const productId = await addProduct(system, { sku: "s4-12" });
  let refused = 0;
  const restore = refusePublishing(() => refused++);
  const { orderId } = await place(system, ann, productId);
  await eventually(() => refused > 0);
  expect(await outboxOf("order")).toBe(1n);
  expect((await stockOf(system, productId)).reserved).toBe(0);
  restore();
  await system.settle();
  expect(await outboxOf("order")).toBe(0n);
  expect((await stockOf(system, productId)).reserved).toBe(1);
  expect(await mailsAbout(system, orderId)).toEqual(["order_received"]);
});

test("s4-13 the sender gives up for good after one message that exhausted its tries: it goes on, however often it failed", async () => {
  // The seed's retry goroutine returned after one exhausted message: nothing was sent any more until a restart.
  const productId = await addProduct(system, { sku: "s4-13", stock: 1_000 });
  let refused = 0;
  const restore = refusePublishing(() => refused++);
  const placed: string[] = [];
  await eventually(async () => {
    // Each commit rings the relay, so that its failures do not take their time.
    placed.push((await place(system, ann, productId)).orderId);
    return refused >= 12;
  });
  restore();
  await system.settle();
  expect((await stockOf(system, productId)).reserved).toBe(placed.length);
});

test("s4-14 a failed job is neither done nor given back: it is tried, parked with its error, and replayed when mended", async () => {
  // The seed's mail consumer returned without ack or nack: the message hung at its worker, unseen, and took one place of the prefetch.
  const stranger = system.newCustomer();
  const productId = await addProduct(system, { sku: "s4-14" });
  const known = await place(system, ann, productId);
  const strange = await place(system, ann, productId);
  await system.settle();
  const reminder = (orderId: string, { userId }: User) => {
    const expiresAt = { seconds: BigInt(Math.floor(system.clock.now().getTime() / 1_000) + 86_400) };
    const total = { currencyCode: "EUR", minorUnits: 450n };
    return ask(system, SendPaymentReminder, { orderId, customerId: userId, reminder: 1, total, expiresAt });
  };
  await reminder(strange.orderId, stranger);
  await reminder(known.orderId, ann);
  expect(await mailsAbout(system, known.orderId)).toEqual(["order_received", "payment_reminder"]);
  expect(await mailsAbout(system, strange.orderId)).toEqual(["order_received"]);
  expect(await system.platform.jobs.undelivered()).toBe(0);
  // Somebody who is not known may only be early, for an hour.
  await system.advance(3_600_000);
  const [parked] = await parkedOf("mail");
  expect(parked).toMatchObject({ type: SendPaymentReminder.type, key: strange.orderId });
  expect(parked?.attempts).toBeGreaterThan(5);
  expect(parked?.error).toContain(stranger.userId);
  await system.app("mail")
    .sql`insert into contacts (user_id, email, display_name) values (${stranger.userId}, 'late@bodega.test', 'late')`;
  const ops = system.as("admin", OpsService, "mail");
  await ops.replayParked({ service: "mail", parkedIds: [parked?.parkedId ?? ""] });
  await system.settle();
  expect(await mailsAbout(system, strange.orderId)).toEqual(["order_received", "payment_reminder"]);
  expect(await parkedOf("mail")).toEqual([]);
});

test("s4-15 a failed fact is skipped by the next commit: later ones overtake it, and it is still heard", async () => {
  // The seed logged a failed message and went on; the next success committed an offset behind it.
  const productId = await addProduct(system, { sku: "s4-15" });
  const { sql } = system.app("mail");
  const failed = await place(system, ann, productId, 1, "s4-15");
  await sql.unsafe(
    `alter table mails add constraint broken check (order_id is distinct from '${failed.orderId}'::uuid)`,
  );
  const later = await place(system, ann, productId);
  // Time stands still here, and with it every later try of the fact that failed.
  await eventually(async () => (await mailsAbout(system, later.orderId)).length === 1);
  await eventually(async () => (await system.platform.events.undelivered()) === 0);
  const [waiting] = await sql`select attempts, error from jobs where kind = 'fact' and key = ${failed.orderId}`;
  expect(waiting).toMatchObject({ attempts: 1, error: expect.stringContaining("broken") });
  await sql.unsafe("alter table mails drop constraint broken");
  await system.settle();
  expect(await mailsAbout(system, failed.orderId)).toEqual(["order_received"]);
  expect((await orderNow(system, failed.orderId)).version).toBeGreaterThan(0n);
});

/** Keys of the order.created facts that the broker was ever given. */
async function ordersTold(): Promise<string[]> {
  const rows = await system.broker.sql<{ key: string }[]>`select key from facts where type = 'order.created'`;
  return rows.map(({ key }) => key);
}

/** The broker says no, until the returned function is called. */
function refusePublishing(refused: () => void): () => void {
  const { events } = system.platform;
  const publish = events.publish;
  events.publish = async () => {
    refused();
    throw new Error("not enough replicas");
  };
  return () => {
    events.publish = publish;
  };
}

async function outboxOf(service: string) {
  const { backlogs } = await system.as("admin", OpsService, service).getBacklog({});
  return backlogs[0]?.outbox;
}

async function parkedOf(service: string) {
  return (await system.as("admin", OpsService, service).listParked({ service })).parked;
}
