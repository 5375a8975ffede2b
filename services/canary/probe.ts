import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { CanaryService } from "../../packages/api/gen/bodega/canary/v1/canary_pb.ts";
import type { App } from "../../packages/service/app.ts";
import { sleep } from "../../packages/time/wait.ts";
import type { CanaryConfig } from "./config.ts";
import { hasArrived } from "./store.ts";

/** An edge that has not answered by then is one more measurement. */
const ANSWER_MS = 5_000;
/** What has not been delivered by then is late; GetTotals goes on counting it as missing. */
const DELIVERY_MS = 5_000;
/** It may be delivered to another process: nobody here is told. */
const LOOK_MS = 10;
const DIGITS = 6;

/** The standing probe. Its first run does nothing: the edge of this process opens after the services. */
export function createProbe(): (app: App<CanaryConfig>) => Promise<void> {
  let open = false;
  return async (app) => {
    if (open) await probe(app);
    open = true;
  };
}

/** Asks for a sum as a customer would, through the edge, and waits until it comes out at the other end. */
async function probe(app: App<CanaryConfig>): Promise<void> {
  const { config, metrics, random, log } = app;
  if (!config.probe) return;
  const done = (outcome: "delivered" | "late" | "refused" | "wrong") => metrics.canaryProbes.inc({ outcome });
  const client = createClient(CanaryService, createConnectTransport({ baseUrl: config.probe.edgeUrl }));
  const [a, b] = [BigInt(random.digits(DIGITS)), BigInt(random.digits(DIGITS))];

  const answered = metrics.canarySeconds.startTimer({ step: "answered" });
  const reply = await client.calculateSum({ a, b }, { timeoutMs: ANSWER_MS }).catch((error: unknown) => {
    log.warn("canary.refused", { message: String(error) });
  });
  if (!reply) return done("refused");
  answered();
  if (reply.sum !== a + b) {
    log.error("canary.wrong", new Error(`expected ${a} + ${b} = ${a + b}, found ${reply.sum}`));
    return done("wrong");
  }

  const delivered = metrics.canarySeconds.startTimer({ step: "delivered" });
  if (await arrives(app, reply.sumId)) {
    delivered();
    return done("delivered");
  }
  log.error("canary.late", new Error(`sum ${reply.sumId} was not delivered within ${DELIVERY_MS} ms`));
  done("late");
}

async function arrives({ sql }: App, sumId: string): Promise<boolean> {
  for (let waited = 0; waited < DELIVERY_MS; waited += LOOK_MS) {
    if (await hasArrived(sql, sumId)) return true;
    await sleep(LOOK_MS);
  }
  return false;
}
