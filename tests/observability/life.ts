// The life of orders, seen through the real programs.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Stack, startStack } from "../../bench/stack.ts";
import { OrderStatus } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { freePorts } from "../../scripts/copy/ports.ts";
import { type Ask, createAsk } from "../../scripts/observe/ask.ts";
import { down, up } from "../../scripts/observe/life.ts";
import { PROGRAMS, USUAL } from "../../scripts/observe/programs.ts";
import { type Checks, say, unless } from "./check.ts";
import { askPager, openPager } from "./pages.ts";
import { askForOrder, askPanels } from "./questions.ts";
import { openShop, stockUp } from "./shop.ts";

/** A day in twenty-four seconds: an unpaid order expires while we look. */
const TIME_SCALE = "3600";

/** An order that is paid, one that is refunded, one that expires and a poison message; then every question that a person would ask. */
export async function lookAtLife(checks: Checks): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "bodega-observed-"));
  const ports = { ...USUAL, ...(await freePorts(Object.keys(USUAL))) };
  const own = await freePorts(["PORT", "OPS_PORT", "SMTP_PORT"]);
  const at = (port: string) => `http://127.0.0.1:${port}`;
  const pager = openPager();
  let stack: Stack | undefined;
  try {
    // The shop first: to a Prometheus that is there before it, it would be down for a while.
    stack = await startStack({
      ...own,
      TIME_SCALE,
      CANARY_EVERY: "2s",
      OTEL_EXPORTER_OTLP_ENDPOINT: at(ports.COLLECTOR_HTTP),
    });
    const shop = { opsPorts: [own["OPS_PORT"] ?? ""], smtpPort: own["SMTP_PORT"] ?? "", pagerUrl: pager.url };
    const only = PROGRAMS.filter((name) => !checks.missing[name]);
    await up({ folder, ports, ...shop, only }, say);
    await observe(checks, stack, createAsk(at(ports.TEMPO_HTTP), at(ports.LOKI_HTTP), at(ports.PROMETHEUS)));
    if (only.includes("alertmanager"))
      await askPager(checks, { pager, alertmanager: at(ports.ALERTMANAGER), mails: stack.mailCatcher });
    else checks.skip("what Alertmanager tells of a dead database", checks.missing["alertmanager"] ?? "");
  } finally {
    await stack?.close();
    await down(folder);
    pager.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function observe(checks: Checks, stack: Stack, ask: Ask): Promise<void> {
  const { check } = checks;
  const shop = await openShop(stack, await stockUp(stack));
  const closed = new AbortController();
  const going = shop.goOn(closed.signal);
  const paid = await shop.paid();
  const refunded = await shop.paid();
  await shop.refund(refunded);
  const expired = await shop.reserved();
  await check("an order that nobody pays expires", () => shop.is(expired, OrderStatus.CANCELLED));
  // What is late by a clock that runs so fast is late by milliseconds: symptoms say nothing here.
  await check("in a healthy shop no alert is firing that names a cause", async () => {
    const firing = await ask.range('ALERTS{alertstate="firing", level="cause"}');
    return unless(firing.length === 0, () => JSON.stringify(firing.map(({ metric }) => metric)));
  });
  await askForOrder(checks, ask, paid);
  await shop.poison();
  await check("a poison message is an alert that fires", async () => {
    const firing = await ask.range('ALERTS{alertname="MessagesParked", alertstate="firing"}');
    return unless(firing.length > 0, () => "it does not");
  });
  await check("its span says that it was parked", async () => {
    const found = await ask.search('{ span.bodega.outcome = "parked" }');
    return unless(found.length > 0, () => "there is none");
  }, ["collector", "tempo"]);
  await askPanels(checks, ask);
  await shop.discard();
  await check("and when it was discarded the alert resolves", async () => {
    const firing = await ask.range('ALERTS{alertname="MessagesParked", alertstate="firing"}');
    const newest = Math.max(...firing.flatMap(({ values }) => values.map(([at]) => at)));
    return unless(Date.now() / 1_000 - newest > 10, () => "it goes on");
  });
  closed.abort();
  await going;
}
