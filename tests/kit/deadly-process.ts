// A process of the mail service that does jobs and hears facts about orders, and dies of those whose key is "deadly". It says on its output what it has done.
import { OrderCreated } from "../../packages/api/facts.ts";
import { SendPaymentReminder } from "../../packages/api/jobs.ts";
import { openDatabase } from "../../packages/database/database.ts";
import { createEmbeddedEvents } from "../../packages/events/embedded.ts";
import { createEmbeddedJobs } from "../../packages/jobs/embedded.ts";
import { createEmbeddedLocks } from "../../packages/locks/embedded.ts";
import { runService } from "../../packages/service/engine/runtime.ts";
import { does, on, service } from "../../packages/service/service.ts";
import { createVerifier } from "../../packages/service/wire/tokens.ts";
import { createLog, jsonLine } from "../../packages/telemetry/log.ts";
import { createMetrics } from "../../packages/telemetry/metrics.ts";
import { systemClock } from "../../packages/time/clock.ts";
import { systemRandom } from "../../packages/time/random.ts";

const [url = "", brokerUrl = ""] = process.argv.slice(2);
const clock = systemClock();
const random = systemRandom(clock);
const log = createLog((line) => process.stderr.write(jsonLine(line)));
const broker = openDatabase(brokerUrl, "broker");
const handle = (what: string, key: string) => {
  if (key === "deadly") process.kill(process.pid, "SIGKILL");
  process.stdout.write(`${what} ${key}\n`);
};
const mail = service({
  name: "mail",
  config: {},
  answers: [],
  hears: [on(OrderCreated, (_app, { body }) => handle("fact", body.orderId))],
  does: [does(SendPaymentReminder, (_app, { body }) => handle("job", body.orderId))],
});
const running = await runService(mail, {
  database: openDatabase(url, "mail"),
  relayUrl: url,
  relay: "poll",
  events: createEmbeddedEvents(broker, log, clock.now),
  jobs: createEmbeddedJobs(broker, log),
  locks: createEmbeddedLocks(() => performance.now(), random.id),
  clock,
  random,
  log,
  metrics: createMetrics(),
  verifier: createVerifier(async () => ({ keys: [] }), clock),
  transport: (called) => {
    throw new Error(`${called.typeName} does not run in this test`);
  },
  serviceToken: async () => "",
});
await running.react();
process.on("SIGTERM", async () => {
  await running.close();
  await broker.close();
  process.exit(0);
});
process.stdout.write("started\n");
