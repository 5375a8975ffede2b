// A shop in which something goes wrong with orders, twice, in real time and with the stack's rules as they are.
// docs/observability.md tells it; its pictures are drawn at the end.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { transport } from "../../bench/people.ts";
import type { Scene } from "../../observability/pictures.ts";
import { AuthService } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { OpsService } from "../../packages/api/gen/bodega/ops/v1/ops_pb.ts";
import { OrderStatus } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { sleep } from "../../packages/time/wait.ts";
import { freePorts } from "../../scripts/copy/ports.ts";
import { type Ask, createAsk } from "../../scripts/observe/ask.ts";
import { CHROMIUM } from "../../scripts/observe/chart.ts";
import { down, up } from "../../scripts/observe/life.ts";
import { drawPictures } from "../../scripts/observe/pictures.ts";
import { PROGRAMS, USUAL } from "../../scripts/observe/programs.ts";
import { ROOT } from "../../scripts/tree.ts";
import { type Checks, say, unless } from "./check.ts";
import { type FaultShop, startFaultShop } from "./fault-shop.ts";
import { openPager } from "./pages.ts";
import { openShop, type Shop, stayLoggedIn, stockUp } from "./shop.ts";

/** An order so often; each tenth is a large one. */
const ORDER_EVERY_MS = 1_500;
const LARGE_EVERY = 10;
const [USUAL_QUANTITY, LARGE_QUANTITY, WRONG_LIMIT] = [1, 8, 5];
/** A customer looks so often whether it can be paid. */
const LOOK_MS = 3_000;
const AWAY = new Set([Code.Unavailable, Code.DeadlineExceeded, Code.ResourceExhausted, Code.Unknown]);
const PICTURES = join(ROOT, "docs/pictures");

export async function playIncident(checks: Checks, scenes = SCENES): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "bodega-incident-"));
  const ports = { ...USUAL, ...(await freePorts(Object.keys(USUAL))) };
  const at = (port: string) => `http://127.0.0.1:${port}`;
  const pager = openPager();
  const seen = checks.missing["collector"] ? {} : { OTEL_EXPORTER_OTLP_ENDPOINT: at(ports.COLLECTOR_HTTP) };
  const place = await startFaultShop(1, undefined, { KITCHEN_STAFF: "on", ...seen });
  try {
    const shop = await openShop(place, await stockUp(place));
    const { opsPort, smtpPort } = place;
    const only = PROGRAMS.filter((name) => !checks.missing[name]);
    await up({ folder, ports, opsPorts: [opsPort], smtpPort, pagerUrl: pager.url, only }, say);
    const ask = createAsk(at(ports.TEMPO_HTTP), at(ports.LOKI_HTTP), at(ports.PROMETHEUS));
    const trade = openTrade(shop);
    for (const [scene, play] of Object.entries(scenes)) {
      const began = Math.floor(Date.now() / 1_000);
      await play(checks, { place, trade, ask, ...createStage(checks, ask, began) });
      const over = { start: began, end: Math.floor(Date.now() / 1_000), scene: scene as Scene };
      await tell(ask, over);
      if (CHROMIUM.found()) say(`drawn: ${await drawPictures(ask, over, PICTURES)}`);
      else checks.skip(`${scene}: the pictures are drawn`, "Chromium is not installed");
    }
    for (const { status, groupLabels, alerts } of pager.pages)
      say(`       the pager was told: ${status} ${groupLabels["alertname"]}, ${alerts.length}`);
    await askForAll(checks, shop, await trade.close());
  } finally {
    await place.close();
    await down(folder);
    pager.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Incident extends Stage {
  place: FaultShop;
  trade: Trade;
  ask: Ask;
}

/** Each begins with a shop that is well, and ends with one; minutes count from its beginning. */
export const SCENES: Record<Scene, (checks: Checks, incident: Incident) => Promise<void>> = {
  async "nothing gets on"(_, { place, upTo, happens, hasFired, isOver }) {
    await upTo(1.5);
    place.ways.broker.swallow();
    happens("the broker does not answer any more");
    await upTo(5.5);
    for (const alert of ["BrokerAway", "OutboxBehind"]) await hasFired(alert);
    place.ways.broker.pass();
    happens("the broker answers again");
    await upTo(9);
    await isOver("OutboxBehind");
    await hasFired("StockFreshnessBurns");
    await upTo(11);
    await isOver("StockFreshnessBurns");
  },
  async "large orders stand still"(checks, { place, trade, ask, upTo, happens, hasFired, isOver }) {
    await upTo(1);
    await limitReservations(place);
    const broken = trade.nextLarge();
    happens(`somebody adds a check to stock's tables: no order takes more than ${WRONG_LIMIT} of one thing`);
    await upTo(3.5);
    await hasFired("MessagesParked");
    await askForParked(checks, ask, await broken);
    await unlimitReservations(place);
    happens(`the check is gone, and ${await replay(place)} messages are sent once more`);
    await upTo(5);
    await isOver("MessagesParked");
  },
};

type Stage = ReturnType<typeof createStage>;

/** The clock of a scene, and what its alerts do. */
function createStage({ check }: Checks, ask: Ask, began: number) {
  const passed = () => Date.now() / 1_000 - began;
  const firing = (alert: string) => `ALERTS{alertname="${alert}", alertstate="firing"}`;
  return {
    upTo: (minute: number) => Bun.sleep(Math.max(0, minute * 60 - passed()) * 1_000),
    happens: (what: string) => say(`       minute ${(passed() / 60).toFixed(1)}: ${what}`),
    hasFired: (alert: string) =>
      check(`${alert} has fired`, async () => {
        const found = await ask.now(`count_over_time(${firing(alert)}[${Math.ceil(passed())}s])`);
        return unless(found.length > 0, () => "it has not");
      }),
    isOver: (alert: string) =>
      check(`${alert} is over`, async () => unless((await ask.now(firing(alert))).length === 0, () => "it goes on")),
  };
}

type Trade = ReturnType<typeof openTrade>;

/** Customers who come whatever happens, and pay as soon as they can. */
function openTrade(shop: Shop) {
  const closed = new AbortController();
  const { signal } = closed;
  let next = Promise.withResolvers<string>();
  async function customer(number: number): Promise<string> {
    const isLarge = number % LARGE_EVERY === 0;
    const requestId = crypto.randomUUID();
    const orderId = await insisting(() => shop.order(isLarge ? LARGE_QUANTITY : USUAL_QUANTITY, requestId));
    if (isLarge) next.resolve(orderId);
    while (await insisting(() => shop.isReserved(orderId))) await Bun.sleep(LOOK_MS);
    await insisting(() => shop.pay(orderId));
    return orderId;
  }
  async function come() {
    const customers: Promise<string>[] = [];
    for (; !signal.aborted; await sleep(ORDER_EVERY_MS, signal)) {
      const one = customer(customers.length + 1);
      one.catch(() => "told to whoever awaits close()");
      customers.push(one);
    }
    return Promise.all(customers);
  }
  const coming = come();
  const staying = stayLoggedIn(shop, signal);
  for (const each of [coming, staying]) each.catch(() => "told to whoever awaits close()");
  return {
    /** The id of the next order that is large. */
    nextLarge() {
      next = Promise.withResolvers();
      return next.promise;
    },
    /** The orders of all of them, when the last has paid. */
    async close() {
      closed.abort();
      const [orders] = await Promise.all([coming, staying]);
      return orders;
    },
  };
}

/** Whoever is refused, or not answered, asks once more. */
async function insisting<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof ConnectError) || !AWAY.has(error.code)) throw error;
      await Bun.sleep(LOOK_MS);
    }
  }
}

/** In the end, whatever it stood still for. */
async function askForAll({ check }: Checks, shop: Shop, orders: string[]): Promise<void> {
  await check(`each of ${orders.length} orders is completed`, async () => {
    const states = await Promise.all(orders.map((orderId) => shop.is(orderId, OrderStatus.COMPLETED)));
    const others = states.filter((wrong) => wrong !== undefined);
    return unless(others.length === 0, () => `${others.length} are not: ${others[0]}`);
  });
}

const limitReservations = ({ database }: FaultShop) =>
  database("stock").sql.unsafe(`
    alter table reservations add constraint nobody_eats_so_much
    check (not jsonb_path_exists(lines, '$[*].quantity ? (@ > ${WRONG_LIMIT})')) not valid`);

const unlimitReservations = ({ database }: FaultShop) =>
  database("stock").sql`alter table reservations drop constraint nobody_eats_so_much`;

/** As an operator does: what is parked, once more. Gives how many there were. */
async function replay(place: FaultShop): Promise<number> {
  const { adminEmail: email, adminPassword: password } = place;
  const { accessToken } = await createClient(AuthService, transport(place)).login({ email, password });
  const ops = createClient(OpsService, transport(place, accessToken));
  const { parked } = await ops.listParked({ service: "stock", pageSize: 100 });
  const { replayed } = await ops.replayParked({ service: "stock", parkedIds: parked.map(({ parkedId }) => parkedId) });
  return replayed;
}

async function askForParked({ check }: Checks, ask: Ask, orderId: string): Promise<void> {
  const parked = `{ span.bodega.order.id = "${orderId}" && span.bodega.outcome = "parked" }`;
  await check(`Tempo says of order ${orderId} what was parked`, async () => {
    const [id] = await ask.search(parked);
    if (!id) return "there is no such trace";
    const trace = await ask.trace(id);
    for (const { name } of trace.spans) say(`       ${name}`);
    return unless(
      trace.spans.some(({ name }) => name === "parked order.created"),
      () => "it has no such span",
    );
  }, ["collector", "tempo"]);
  await check("and Loki why", async () => {
    const [id] = await ask.search(parked);
    const lines = await ask.lines(`{service_namespace="bodega"} | trace_id="${id}"`);
    for (const { text } of lines) say(`       ${text.slice(0, 300)}`);
    return unless(
      lines.some(({ text }) => text.includes("message.parked")),
      () => `of ${lines.length} lines none says that it was parked`,
    );
  }, ["collector", "tempo", "loki"]);
}

/** What fired from when to when. */
async function tell(ask: Ask, { start, end }: { start: number; end: number }): Promise<void> {
  for (const { metric, values } of await ask.range('ALERTS{alertstate="firing"}', { start, end, step: 3 })) {
    const { alertname, service = "", window = "", severity } = metric;
    const [from, to] = [values[0], values.at(-1)].map((point) => (((point?.[0] ?? start) - start) / 60).toFixed(1));
    say(`       ${alertname} (${[severity, service, window].filter(Boolean)}) fired from ${from} to ${to}`);
  }
}
