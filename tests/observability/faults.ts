// Each alert by the fault that it is about, made for real on running services: it fires, nothing else does, and it is over when the fault is.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ALERTS } from "../../observability/alerts.ts";
import { alertNames } from "../../observability/rules.ts";
import { mailsTo } from "../../scripts/copy/mails.ts";
import { freePorts } from "../../scripts/copy/ports.ts";
import { type Ask, createAsk } from "../../scripts/observe/ask.ts";
import { down, scrapeAnew, up } from "../../scripts/observe/life.ts";
import { type Place, USUAL } from "../../scripts/observe/programs.ts";
import { type Watch, watchMachine } from "./busy.ts";
import { type Checks, say, unless } from "./check.ts";
import { timersSoon } from "./database-faults.ts";
import { startFaultShop } from "./fault-shop.ts";
import { KAFKA_ALERT } from "./kafka.ts";
import { OPERATOR, openPager, type Pager } from "./pages.ts";
import { startRedis } from "./redis-server.ts";
import { type Broken, type Fault, ROUNDS } from "./rounds.ts";
import { openShop, stockUp, withTrade } from "./shop.ts";
import { writeShortRules } from "./short-rules.ts";

/** Of what rules compare with, ages are told in the time that orders live by, which runs so many times faster: an order that waits for a minute has waited for six seconds. */
const TIME_SCALE = 10;
/** Longer than any alert of a cause waits. */
const HEALTHY_MS = 30_000;

/** A ticket about a goal looks back three days, which are hours here: it may come of any of these faults, and stays. */
const LOUD = 'ALERTS{alertstate="firing", alertname!~".+Burns"} or ALERTS{alertstate="firing", severity="page"}';

export async function makeFaults(checks: Checks): Promise<void> {
  allAreMade();
  const folder = mkdtempSync(join(tmpdir(), "bodega-faults-seen-"));
  const pager = openPager();
  const watch = watchMachine();
  const redis = await startRedis(folder);
  const shopPlace = await startFaultShop(TIME_SCALE, redis?.url);
  try {
    const ports = { ...USUAL, ...(await freePorts(Object.keys(USUAL))) };
    const at = (port: string) => `http://127.0.0.1:${port}`;
    const shop = await openShop(shopPlace, await stockUp(shopPlace));
    await shop.paid();
    const place: Place = {
      folder: join(folder, "observed"),
      ports,
      opsPorts: [shopPlace.opsPort],
      smtpPort: shopPlace.smtpPort,
      pagerUrl: pager.url,
      only: ["prometheus", "alertmanager"].filter((name) => !checks.missing[name]),
      ruleFiles: writeShortRules(join(folder, "rules")),
    };
    await up(place, say);
    const scrape = (opsPorts: string[]) => scrapeAnew({ ...place, opsPorts });
    const broken = { place: shopPlace, shop, redis, scrape, watch };
    const ask = createAsk("", "", at(ports.PROMETHEUS));
    const made: Round[] = [];
    await withTrade(shop, async () => {
      await healthy(checks, ask, broken);
      for (const faults of ROUNDS) made.push(await makeTogether(checks, ask, broken, faults));
    });
    await told(checks, pager, made, () => mailsTo(shopPlace.mailCatcher, OPERATOR));
  } finally {
    await shopPlace.close();
    await down(join(folder, "observed"));
    await redis?.kill();
    pager.close();
    watch.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function healthy(checks: Checks, ask: Ask, broken: Broken): Promise<void> {
  const began = performance.now();
  // What has never happened is not counted: the first timer is.
  await timersSoon(broken.place);
  await Bun.sleep(HEALTHY_MS);
  await checkSilent(checks, ask, {
    what: `a shop that trades for ${HEALTHY_MS / 1_000} s is silent`,
    since: began,
    watch: broken.watch,
  });
}

interface Round {
  /** Those that could be made here. */
  faults: Fault[];
  from: Date;
  to: Date;
}

async function makeTogether(checks: Checks, ask: Ask, broken: Broken, faults: Fault[]): Promise<Round> {
  const { check, skip } = checks;
  const from = new Date();
  const began = performance.now();
  const possible = faults.filter((fault) => {
    const why = fault.impossible?.(broken);
    if (why) for (const alert of fault.alerts) skip(`${fault.what}: ${alert}`, why);
    return !why;
  });
  const ends: (() => unknown)[] = [];
  for (const fault of possible) ends.push(await fault.make(broken));
  const lasting = Bun.sleep(Math.max(0, ...possible.map(({ lastsMs = 0 }) => lastsMs)));
  for (const { what, alerts } of possible)
    for (const alert of alerts) await check(`${what}: ${alert} fires`, () => fires(ask, alert, true));
  await lasting;
  for (const end of ends) await end();
  for (const { what, later = [] } of possible)
    for (const alert of later) await check(`when it is over, ${what}: ${alert} fires`, () => fires(ask, alert, true));
  for (const { alerts, later = [] } of possible)
    for (const alert of [...alerts, ...later]) await check(`${alert} is over`, () => fires(ask, alert, false));
  const expected = possible.flatMap(({ alerts, later = [], follows = [] }) => [...alerts, ...later, ...follows]);
  const names = possible.map(({ what }) => what).join("; ");
  await checkSilent(
    checks,
    ask,
    { what: `nothing else was heard of: ${names}`, since: began, watch: broken.watch },
    expected,
  );
  await check("and all is silent again", async () => {
    const firing = await ask.now(LOUD);
    return unless(firing.length === 0, () => listed(firing));
  });
  return { faults: possible, from, to: new Date() };
}

async function fires(ask: Ask, alert: string, wanted: boolean): Promise<string | undefined> {
  const firing = (await ask.now(LOUD)).filter(({ alertname }) => alertname === alert);
  return unless(firing.length > 0 === wanted, () => (wanted ? "it does not" : listed(firing)));
}

interface Silence {
  what: string;
  since: number;
  watch: Watch;
}

/** Nothing has fired since then but these. Goals are about time, which a machine that is too busy has not. */
async function checkSilent(
  checks: Checks,
  ask: Ask,
  { what, since, watch }: Silence,
  but: string[] = [],
): Promise<void> {
  const window = `[${Math.ceil((performance.now() - since) / 1_000)}s]`;
  const counted = LOUD.replaceAll(/ALERTS\{[^}]*\}/g, (series) => `count_over_time(${series}${window})`);
  const heard = (await ask.now(`count by (alertname) (${counted})`)).map(({ alertname = "" }) => alertname);
  const others = heard.filter((name) => !but.includes(name));
  const busy = watch.tooBusySince(since);
  if (others.length > 0 && busy) return checks.skip(`${what} (${others})`, busy);
  await checks.checkNow(what, async () => unless(others.length === 0, () => others.join()));
}

const listed = (alerts: Record<string, string>[]) => alerts.map((labels) => Object.values(labels).join(" ")).join("; ");

/** What came to people of it, by the real Alertmanager. */
async function told({ check }: Checks, pager: Pager, made: Round[], mails: () => Promise<{ subject: string }[]>) {
  const needs = ["alertmanager"];
  await check(
    "of a database that does not answer, and of all that follows from it, the pager is told once, and once that it is over",
    async () => {
      const round = made.find(({ faults }) => faults.some(({ alerts }) => alerts.includes("DatabaseAway")));
      const pages = pager.pages.filter(({ alerts }) => alerts.some(({ startsAt }) => round && isIn(round, startsAt)));
      const told = pages.map(({ status, groupLabels }) => `${status} ${groupLabels["alertname"]}`);
      return unless(told.join() === "firing DatabaseAway,resolved DatabaseAway", () => `it was told ${told}`);
    },
    needs,
  );
  await check(
    "each cause was mailed, and that it is over",
    async () => {
      const subjects = (await mails()).map(({ subject }) => subject);
      const causes = made
        .flatMap(({ faults }) => faults.flatMap(({ alerts }) => alerts))
        .filter((name) => !SYMPTOMS.has(name));
      const silent = causes.flatMap((name) =>
        ["FIRING", "RESOLVED"].flatMap((state) =>
          subjects.some((subject) => subject.includes(state) && subject.includes(name)) ? [] : `${state} ${name}`,
        ),
      );
      return unless(silent.length === 0, () => `nothing was mailed of ${silent}`);
    },
    needs,
  );
}

function isIn({ from, to }: Round, moment: string): boolean {
  return from <= new Date(moment) && new Date(moment) <= to;
}

const SYMPTOMS = new Set([
  ...ALERTS.flatMap(({ name, symptom }) => (symptom ? name : [])),
  ...alertNames().filter((name) => name.endsWith("Burns")),
]);

/** Every alert is made here, but for the one that needs a Kafka. */
function allAreMade(): void {
  const made = new Set(ROUNDS.flat().flatMap(({ alerts, later = [] }) => [...alerts, ...later]));
  const others = alertNames().filter((name) => !made.has(name) && name !== KAFKA_ALERT);
  if (others.length > 0) throw new Error(`expected a fault that makes ${others.join(" and ")}, found none`);
}
