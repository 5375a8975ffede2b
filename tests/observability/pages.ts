// Alertmanager with the stack's routes: who is told of what, and how often.
import { mailsTo } from "../../scripts/copy/mails.ts";
import { SERVICE_NAMES } from "../../services/all.ts";
import { type Checks, unless } from "./check.ts";

/** Whom Alertmanager mails. */
export const OPERATOR = "operator@bodega.example";
/** A label of the alerts that are sent here: the shop's own come too, whose goals burn at the speed of its clock. */
const PLANTED = "planted-here";

interface Alert {
  labels: Record<string, string>;
  annotations?: Record<string, string>;
  endsAt?: string;
}

interface Page {
  status: "firing" | "resolved";
  groupLabels: Record<string, string>;
  alerts: { status: string; labels: Record<string, string>; startsAt: string }[];
}

/** A webhook that keeps what it is sent; `hostname` is where it listens. */
export function openPager(hostname = "127.0.0.1") {
  const pages: Page[] = [];
  const server = Bun.serve({
    port: 0,
    hostname,
    async fetch(req) {
      pages.push((await req.json()) as Page); // Alertmanager's own, version 4.
      return new Response();
    },
  });
  return {
    pages,
    url: `http://${hostname}:${server.port}/`,
    /** Of what was planted, as "firing DatabaseAway 11", in the order of coming. */
    told: () =>
      pages.flatMap(({ status, groupLabels, alerts }) => {
        const { length } = alerts.filter(({ labels }) => labels["planted"] === PLANTED);
        return length > 0 ? `${status} ${groupLabels["alertname"]} ${length}` : [];
      }),
    close: () => server.stop(true),
  };
}

export type Pager = ReturnType<typeof openPager>;

/** What of the rules fires when a database dies, as Prometheus would send it; with a page and a ticket that have nothing to do with it. */
export async function askPager(
  { check }: Checks,
  { pager, alertmanager, mails }: { pager: Pager; alertmanager: string; mails: string },
): Promise<void> {
  const cause = (alertname: string, severity: string, more: Record<string, string> = {}): Alert => ({
    labels: { alertname, severity, level: "cause", ...more },
  });
  const dead = SERVICE_NAMES.map((service) => cause("DatabaseAway", "page", { service }));
  const symptoms = SYMPTOMS.map(([alertname, severity, more]) => ({
    labels: { alertname, severity, level: "symptom", ...more },
  }));
  const others = [cause("CanaryDoubled", "page"), cause("ClockOff", "ticket", { instance: "order:9091" })];
  const send = async (alerts: Alert[]) => {
    const body = JSON.stringify(alerts.map((alert) => ({ ...alert, labels: { ...alert.labels, planted: PLANTED } })));
    const headers = { "content-type": "application/json" };
    const res = await fetch(`${alertmanager}/api/v2/alerts`, { method: "POST", headers, body });
    if (!res.ok) throw new Error(`Alertmanager answered ${res.status}: ${await res.text()}`);
  };
  // A subject has the labels that all alerts of its mail share.
  const mailed = async () =>
    (await mailsTo(mails, OPERATOR)).flatMap(({ subject }) => (subject.includes(PLANTED) ? subject : []));

  await send([...dead, ...symptoms]);
  await check("a dead database, which thirty alerts tell of, is one page", async () => {
    const told = pager.told();
    return unless(told.join() === `firing DatabaseAway ${SERVICE_NAMES.length}`, () => `was told ${told}`);
  });
  // What would have been told of the others was due before this.
  await send(others);
  await check(
    "and what has nothing to do with it comes all the same: the page to the pager, the ticket by mail",
    async () => {
      const [told, got] = [pager.told(), await mailed()];
      const wanted = told.join() === `firing DatabaseAway ${SERVICE_NAMES.length},firing CanaryDoubled 1`;
      return unless(
        wanted && got.some((subject) => subject.includes("ClockOff")),
        () => `was told ${told}, mailed ${got}`,
      );
    },
  );
  await check("a page is mailed too, and what is silent is not", async () => {
    const got = await mailed();
    const heard = (name: string) => got.filter((subject) => subject.includes(name)).length;
    const loud = symptoms.filter(({ labels }) => heard(labels.alertname) > 0);
    return unless(heard("DatabaseAway") === 1 && loud.length === 0, () => `mailed ${got}`);
  });
  await send(dead.map((alert) => ({ ...alert, endsAt: new Date().toISOString() })));
  await check("when the database is back its page is told to be over, and what still burns is told then", async () => {
    const told = pager.told();
    const over = told.includes(`resolved DatabaseAway ${SERVICE_NAMES.length}`);
    return unless(over && told.includes("firing PlacingAvailabilityBurns 1"), () => `was told ${told}`);
  });
  await check("of one goal the page silences the ticket", async () => {
    const res = await fetch(
      `${alertmanager}/api/v2/alerts?filter=alertname%3DPlacingAvailabilityBurns&filter=severity%3Dticket&filter=planted%3D${PLANTED}`,
    );
    const [ticket] = (await res.json()) as { status: { state: string } }[];
    return unless(ticket?.status.state === "suppressed", () => JSON.stringify(ticket));
  });
  await send([...symptoms, ...others].map((alert) => ({ ...alert, endsAt: new Date().toISOString() })));
}

const SYMPTOMS: [alertname: string, severity: string, more: Record<string, string>][] = [
  ["PlacingAvailabilityBurns", "page", { slo: "placing-availability", window: "1h" }],
  ["PlacingAvailabilityBurns", "ticket", { slo: "placing-availability", window: "3d" }],
  ["CanaryBurns", "page", { slo: "canary", window: "1h" }],
  ["StockFreshnessBurns", "page", { slo: "stock-freshness", window: "1h" }],
  ["MailDeliveryBurns", "page", { slo: "mail-delivery", window: "1h" }],
  ["TimersOnTimeBurns", "page", { slo: "timers-on-time", window: "1h" }],
  ["StatisticsFreshnessBurns", "page", { slo: "statistics-freshness", window: "1h" }],
  ["CanaryMissing", "page", {}],
  ...["order", "stock", "payment", "mail", "kitchen", "points"].flatMap((service): typeof SYMPTOMS => [
    ["OutboxBehind", "page", { service }],
    ["JobsBehind", "page", { service }],
  ]),
];
