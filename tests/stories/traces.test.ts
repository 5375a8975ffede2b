import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { setTracing } from "../../packages/telemetry/trace.ts";
import { SERVICE_NAMES } from "../../services/all.ts";
import { addCustomer, addProduct, handOver, mailsAbout, pay } from "../kit/customers.ts";
import { eventually } from "../kit/eventually.ts";
import { bearer, type LiveEdge, startLiveEdge } from "../kit/live-edge.ts";
import { orphans, pathTo, recordSpans, type Spans, serviceOf, traceOf } from "../kit/spans.ts";
import { type System, startSystem, type User } from "../kit/system.ts";

setDefaultTimeout(120_000);
const HOUR_MS = 3_600_000;
/** No order is any of their business. */
const UNCONCERNED = ["auth", "canary"];

let system: System;
let edge: LiveEdge;
let productId: string;
let customer: User;
beforeAll(async () => {
  system = await startSystem();
  edge = await startLiveEdge(system);
  productId = await addProduct(system, { sku: "traced", stock: 100 });
  customer = await addCustomer(system);
});
afterAll(async () => {
  await edge.close();
  await system.close();
});

async function recorded<T>(work: (spans: Spans) => Promise<T>, ratio = 1): Promise<T> {
  const spans = recordSpans({ parentBased: true, ratio });
  try {
    return await work(spans);
  } finally {
    await spans.close();
  }
}

/** Through the edge, as a customer does. */
async function placeByRest(headers: Record<string, string> = {}): Promise<string> {
  const res = await fetch(`${edge.url}/v1/orders`, {
    method: "POST",
    headers: { ...bearer(await system.token(customer)), "content-type": "application/json", ...headers },
    body: JSON.stringify({ requestId: system.random.id(), lines: [{ productId, quantity: 1 }] }),
  });
  const { order } = (await res.json()) as { order: { orderId: string } };
  return order.orderId;
}

test("the life of an order is in traces that name it: every service, no span without its parent", async () => {
  await recorded(async (spans) => {
    const orderId = await placeByRest();
    await system.settle();
    await pay(system, customer, orderId);
    await system.settle();
    await handOver(system, orderId);
    const life = spans.about(orderId);
    expect(new Set(life.map(serviceOf))).toEqual(
      new Set(["gateway", ...SERVICE_NAMES.filter((name) => !UNCONCERNED.includes(name))]),
    );
    expect(orphans(spans.all())).toEqual([]);
  });
});

test("one trace leads from the request to the last mail about it, through commit, outbox, broker and job", async () => {
  await recorded(async (spans) => {
    const orderId = await placeByRest();
    await system.settle();
    expect(await mailsAbout(system, orderId)).toEqual(["order_received"]);
    const life = spans.about(orderId);
    expect(new Set(life.map(traceOf)).size).toBe(1);
    const paths = life.map((span) => pathTo(span, life));
    const place = ["gateway: POST /v1/orders", "order: bodega.order.v1.OrderService/PlaceOrder"];
    expect(paths).toContainEqual([...place, expect.stringMatching(/^order: INSERT .*outbox/)]);
    expect(paths).toContainEqual([...place, "order: send order.created", "stock: process order.created"]);
    expect(paths.filter((path) => path.at(-1) === "mail: effect mail.deliver")).toContainEqual([
      ...place,
      "order: send order.created",
      "mail: process order.created",
      "mail: process mail.deliver",
      "mail: effect mail.deliver",
    ]);
    expect(paths.filter((path) => path.at(-1) === "order: process stock.reserved")).toContainEqual([
      ...place,
      "order: send order.created",
      "stock: process order.created",
      "stock: send stock.reserved",
      "order: process stock.reserved",
    ]);
  });
});

test("a log line about an order says which, and in which span it was written", async () => {
  await recorded(async (spans) => {
    const orderId = await placeByRest();
    await system.settle();
    const lines = system.lines.filter((line) => line["order_id"] === orderId && line["span_id"]);
    expect(new Set(lines.map(({ event }) => event))).toEqual(new Set(["rpc.done", "fact.done"]));
    const ids = new Set(spans.about(orderId).map((span) => `${traceOf(span)} ${span.spanContext().spanId}`));
    for (const line of lines) expect(ids).toContain(`${line["trace_id"]} ${line["span_id"]}`);
  });
});

test("what goes wrong with a message says which order it is about, each time it is tried", async () => {
  await recorded(async (spans) => {
    const { sql } = system.app("stock");
    await sql.unsafe("alter table reservations add constraint broken check (false) not valid");
    const orderId = await placeByRest();
    const retried = () =>
      spans
        .all()
        .filter(
          ({ name, attributes }) => name === "retried order.created" && attributes["bodega.order.id"] === orderId,
        );
    await eventually(() => retried().length === 1);
    system.clock.advance(10_000);
    await eventually(() => retried().length >= 2);
    await sql.unsafe("alter table reservations drop constraint broken");
    await system.settle();
    const lines = system.lines.filter(
      (line) => line["order_id"] === orderId && /retrying$/.test(String(line["event"])),
    );
    expect(new Set(lines.map(({ event }) => event))).toEqual(new Set(["fact.retrying", "message.retrying"]));
    expect(await mailsAbout(system, orderId)).toEqual(["order_received"]);
  });
});

test("a reminder hours later has a trace of its own, which points back to the placing", async () => {
  await recorded(async (spans) => {
    const orderId = await placeByRest();
    await system.settle();
    const placing = spans.all().find(({ name }) => name.endsWith("/PlaceOrder"));
    await system.advance(4 * HOUR_MS);
    const timer = spans
      .all()
      .find((span) => span.name === "process order.payment-deadline" && span.attributes["bodega.order.id"] === orderId);
    if (!placing || !timer) throw new Error("expected the spans of the placing and of its timer");
    expect(timer.parentSpanContext).toBeUndefined();
    expect(timer.links.map(({ context }) => context.traceId)).toEqual([traceOf(placing)]);
    const reminded = spans.all().filter((span) => traceOf(span) === traceOf(timer));
    expect(reminded.map((span) => `${serviceOf(span)}: ${span.name}`)).toContain("mail: effect mail.deliver");
    expect(orphans(spans.all())).toEqual([]);
  });
});

test("a trace that began elsewhere goes on here, recorded or not as its beginning says and not as this process samples", async () => {
  await recorded(async (spans) => {
    const from = "0af7651916cd43dd8448eb211c80319c";
    const sampled = await placeByRest({ traceparent: `00-${from}-b7ad6b7169203331-01` });
    await system.settle();
    expect(new Set(spans.about(sampled).map(traceOf))).toEqual(new Set([from]));
    const before = spans.all().length;
    await placeByRest({ traceparent: `00-${from}-b7ad6b7169203331-00` });
    await system.settle();
    expect(spans.all().length).toBe(before);
  }, 0);
});

test("a trace that is not sampled leaves nothing behind, and no service asks again whether it is", async () => {
  const asked: string[] = [];
  const ended: string[] = [];
  setTracing({
    parentBased: true,
    samples(traceId) {
      asked.push(traceId);
      return false;
    },
    ended: ({ name }) => void ended.push(name),
  });
  try {
    await placeByRest();
    await system.settle();
    expect(ended).toEqual([]);
    expect(asked.length).toBeGreaterThan(0);
    expect(new Set(asked).size).toBe(asked.length);
  } finally {
    setTracing(undefined);
  }
});
