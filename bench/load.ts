// A process of its own that makes load: told over IPC what to do, it answers with what came of it.
import { create, toBinary } from "@bufbuild/protobuf";
import { PlaceOrderRequestSchema } from "../packages/api/gen/bodega/order/v1/order_pb.ts";
import { percentile } from "./figures.ts";
import { type FloorPlan, openFloor } from "./floor.ts";
import type { Customer } from "./people.ts";

export interface EdgePlan {
  kind: "edge";
  url: string;
  customers: Customer[];
  productIds: string[];
}

export type Plan = EdgePlan | FloorPlan;

export interface Command {
  plan: Plan;
  clients: number;
  ms: number;
  /** Different in each run: request ids begin with it. */
  run: string;
}

export interface Loaded {
  /** Answers within the window, and all: what was under way at its end is waited for. */
  done: number;
  acknowledged: number;
  failed: number;
  failure: string;
  seconds: number;
  p50Ms: number;
  p99Ms: number;
}

const LINES = 3;
const LATENCIES_MAX = 2_000_000;

/** Does one thing once. */
type Work = (client: number, sequence: number) => Promise<void>;

process.on("message", (command: Command) => {
  carryOut(command).then(
    (loaded) => process.send?.(loaded),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});
process.on("disconnect", () => process.exit(0));

async function carryOut(command: Command): Promise<Loaded> {
  const { plan } = command;
  if (plan.kind === "edge") return closedLoop(command, placing(plan, command.run));
  const floor = openFloor(plan);
  try {
    return await closedLoop(command, floor.place);
  } finally {
    await floor.close();
  }
}

async function closedLoop({ clients, ms }: Command, work: Work): Promise<Loaded> {
  const latencies = new Float64Array(LATENCIES_MAX);
  const loaded = { done: 0, acknowledged: 0, failed: 0, failure: "" };
  const started = performance.now();
  const end = started + ms;
  async function client(number: number) {
    for (let sequence = 0; ; sequence++) {
      const asked = performance.now();
      if (asked >= end) return;
      try {
        await work(number, sequence);
        loaded.acknowledged += 1;
      } catch (error) {
        loaded.failed += 1;
        loaded.failure = String(error);
      }
      const answered = performance.now();
      if (answered <= end) latencies[loaded.done++ % LATENCIES_MAX] = answered - asked;
    }
  }
  await Promise.all(Array.from({ length: clients }, (_, number) => client(number)));
  const sorted = latencies.subarray(0, Math.min(loaded.done, LATENCIES_MAX)).sort();
  return { ...loaded, seconds: ms / 1_000, p50Ms: percentile(sorted, 50), p99Ms: percentile(sorted, 99) };
}

/** Each client is one customer's; each order asks for three different products. */
function placing({ url, customers, productIds }: EdgePlan, run: string): Work {
  const address = `${url}/bodega.order.v1.OrderService/PlaceOrder`;
  const headers = customers.map(({ token }) => ({
    "content-type": "application/proto",
    "connect-protocol-version": "1",
    authorization: `Bearer ${token}`,
  }));
  return async (client, sequence) => {
    const first = client * 31 + sequence * 7;
    const lines = Array.from({ length: LINES }, (_, line) => ({
      productId: productIds[(first + line * 17) % productIds.length] ?? "",
      quantity: 1 + (line % 2),
    }));
    const body = toBinary(
      PlaceOrderRequestSchema,
      create(PlaceOrderRequestSchema, { requestId: `${run}-${client}-${sequence}`, lines }),
    );
    const own = headers[client % headers.length];
    if (!own) throw new Error("no customer to order as");
    const response = await fetch(address, { method: "POST", headers: own, body });
    const reply = await response.arrayBuffer();
    if (response.status !== 200) throw new Error(`PlaceOrder answered ${response.status}: ${Buffer.from(reply)}`);
    if (reply.byteLength === 0) throw new Error("PlaceOrder answered nothing");
  };
}
