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
  /** Requests a second, whatever becomes of those before; left out, each client asks again when it was answered. */
  rate?: number;
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
  /** Answered with RESOURCE_EXHAUSTED, and how soon. */
  refused: number;
  refusedP99Ms: number;
  /** What an open loop could not even send, so many were under way. */
  unsent: number;
  seconds: number;
  p50Ms: number;
  p99Ms: number;
}

const LINES = 3;
const LATENCIES_MAX = 2_000_000;
const OPEN_LOOP_STEP_MS = 2;
const UNDER_WAY_MAX = 10_000;
/** By then an open loop is as full as it will be. */
const LEAD_IN_MS = 2_000;
const TOO_MANY_REQUESTS = 429;

/** Does one thing once; false when it was refused for being too much. */
type Work = (client: number, sequence: number) => Promise<boolean>;

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
  const { plan, rate } = command;
  if (plan.kind === "edge") {
    const work = placing(plan, command.run);
    return rate === undefined ? closedLoop(command, work) : openLoop(command, rate, work);
  }
  const floor = openFloor(plan);
  try {
    return await closedLoop(command, async (client, sequence) => {
      await floor.place(client, sequence);
      return true;
    });
  } finally {
    await floor.close();
  }
}

/** What comes of requests. Answers count from `leadInMs` on, for `ms`. */
function createTally(ms: number, leadInMs = 0) {
  const answered = new Float64Array(LATENCIES_MAX);
  const refused = new Float64Array(LATENCIES_MAX);
  const loaded = { done: 0, acknowledged: 0, failed: 0, failure: "", refused: 0, unsent: 0 };
  const started = performance.now();
  const begin = started + leadInMs;
  const end = begin + ms;
  const latencyOf = (latencies: Float64Array, count: number, percent = 99) =>
    percentile(latencies.subarray(0, Math.min(count, LATENCIES_MAX)).sort(), percent);
  return {
    started,
    end,
    loaded,
    async one(asked: number, work: () => Promise<boolean>) {
      try {
        if (!(await work())) {
          if (performance.now() < begin) return;
          refused[loaded.refused++ % LATENCIES_MAX] = performance.now() - asked;
          return;
        }
        loaded.acknowledged += 1;
      } catch (error) {
        loaded.failed += 1;
        loaded.failure = String(error);
      }
      const now = performance.now();
      if (now >= begin && now <= end) answered[loaded.done++ % LATENCIES_MAX] = now - asked;
    },
    result(): Loaded {
      const { done } = loaded;
      return {
        ...loaded,
        seconds: ms / 1_000,
        p50Ms: latencyOf(answered, done, 50),
        p99Ms: latencyOf(answered, done),
        refusedP99Ms: latencyOf(refused, loaded.refused),
      };
    },
  };
}

async function closedLoop({ clients, ms }: Command, work: Work): Promise<Loaded> {
  const tally = createTally(ms);
  async function client(number: number) {
    for (let sequence = 0; performance.now() < tally.end; sequence++)
      await tally.one(performance.now(), () => work(number, sequence));
  }
  await Promise.all(Array.from({ length: clients }, (_, number) => client(number)));
  return tally.result();
}

/** Asks when it is time, as people do who know nothing of each other. A latency begins at that time, not when the request could be sent. */
async function openLoop({ clients, ms }: Command, rate: number, work: Work): Promise<Loaded> {
  const tally = createTally(ms, LEAD_IN_MS);
  const underWay = new Set<Promise<void>>();
  for (let sent = 0; performance.now() < tally.end; await Bun.sleep(OPEN_LOOP_STEP_MS)) {
    for (const due = ((performance.now() - tally.started) * rate) / 1_000; sent < due; sent++) {
      if (underWay.size >= UNDER_WAY_MAX) {
        tally.loaded.unsent += 1;
        continue;
      }
      const sequence = sent;
      const asked = tally.started + (sequence * 1_000) / rate;
      const one = tally.one(asked, () => work(sequence % clients, sequence)).finally(() => underWay.delete(one));
      underWay.add(one);
    }
  }
  await Promise.all(underWay);
  return tally.result();
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
    if (response.status === TOO_MANY_REQUESTS) return false;
    if (response.status !== 200) throw new Error(`PlaceOrder answered ${response.status}: ${Buffer.from(reply)}`);
    if (reply.byteLength === 0) throw new Error("PlaceOrder answered nothing");
    return true;
  };
}
