// How late messages are by bodega_message_delay_seconds: two promises to customers are measured with it.
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { eventually } from "../../../tests/kit/eventually.ts";
import { testPorts } from "../../../tests/kit/ports.ts";
import { DeliverMail, PaymentDeadline } from "../../api/jobs.ts";
import { type Does, does, effect, service } from "../service.ts";
import { type Running, runService } from "./runtime.ts";

setDefaultTimeout(30_000);
const HOUR_MS = 3_600_000;
const running: Running[] = [];
afterEach(async () => {
  for (const each of running.splice(0)) await each.close();
});

async function serving(name: string, work: Does) {
  const { ports, clock } = await testPorts();
  const started = await runService(service({ name, config: {}, answers: [], hears: [], does: [work] }), ports);
  running.push(started);
  await started.react();
  /** So many messages of the type came by this many seconds. */
  const within = async (type: string, le: string) => {
    const { body } = await ports.metrics.expose();
    const found = new RegExp(`bodega_message_delay_seconds_bucket{(?=.*type="${type}")(?=.*le="${le}").*} (\\d+)`).exec(
      body,
    );
    return Number(found?.[1] ?? 0);
  };
  return { app: started.app, clock, within };
}

test("a timer is as late as it is done after its time, however long before it was set", async () => {
  const { app, clock, within } = await serving(
    "order",
    does(PaymentDeadline, async () => {}),
  );
  const at = new Date(clock.now().getTime() + 4 * HOUR_MS);
  await app.record((tx) => tx.enqueue(PaymentDeadline, { orderId: "soup", step: 0 }, { at }));
  clock.advance(4 * HOUR_MS + 20_000);
  await eventually(async () => (await within("order.payment-deadline", "3600")) === 1);
  expect([await within("order.payment-deadline", "10"), await within("order.payment-deadline", "30")]).toEqual([0, 1]);
});

test("an effect is as late as it has taken since it was asked for, retries and all", async () => {
  let tries = 0;
  const { app, clock, within } = await serving(
    "mail",
    effect(DeliverMail, {
      async perform() {
        tries += 1;
        if (tries === 1) throw new Error("the mail server is away");
      },
      settle: async () => {},
    }),
  );
  await app.record((tx) => tx.enqueue(DeliverMail, { mailId: "late" }));
  await eventually(async () => (await app.sql`select from jobs where error like '%is away%'`).length === 1);
  clock.advance(30_000);
  await eventually(async () => (await within("mail.deliver", "3600")) === 1);
  expect([await within("mail.deliver", "10"), tries]).toEqual([0, 2]);
});
