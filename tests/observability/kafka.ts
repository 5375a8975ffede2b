// The one alert that a shop without Kafka cannot have: a topic of a real Kafka that keeps its facts for ever.
import { rmSync } from "node:fs";
import { join } from "node:path";
import { ConfigResourceTypes, Kafka, logLevel } from "kafkajs";
import { freePorts } from "../../scripts/copy/ports.ts";
import { startCopy } from "../../scripts/copy/start.ts";
import { createAsk } from "../../scripts/observe/ask.ts";
import { down, up } from "../../scripts/observe/life.ts";
import { USUAL } from "../../scripts/observe/programs.ts";
import { notInstalled } from "../../scripts/servers/install.ts";
import { startServers } from "../../scripts/servers/start-servers.ts";
import { scratchFolder } from "../kit/scratch.ts";
import { fetchMissing } from "../kit/servers/absent.ts";
import { type Checks, say, unless } from "./check.ts";
import { writeShortRules } from "./short-rules.ts";

export const KAFKA_ALERT = "FactsKeptTooLong";
const TOPIC = "order";
/** Two runs beside each other have different process ids. */
const BASE_PORT = 29_000 + (process.pid % 20) * 100;
/** As its runbook says. */
const WELL = { "retention.ms": "2592000000", "segment.ms": "604800000", "cleanup.policy": "delete" };

export async function keepForEver(checks: Checks): Promise<void> {
  const what = "a topic that keeps its facts for ever";
  const reason = notInstalled(["kafka"]);
  if (reason) return checks.skip(`${what}: ${KAFKA_ALERT}`, reason);
  const folder = scratchFolder("bodega-kept-");
  const ends: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
  try {
    await fetchMissing(["kafka"]);
    const { env, down: stop } = await startServers(["kafka"], { basePort: BASE_PORT });
    ends.push(stop);
    const brokers = env["KAFKA_BROKERS"] ?? "";
    const [own, ports] = [await freePorts(), { ...USUAL, ...(await freePorts(Object.keys(USUAL))) }];
    const logFile = join(folder, "shop.log");
    const start = () =>
      startCopy({ env: { ...own, DATA_DIR: join(folder, "shop"), KAFKA_BROKERS: brokers, DEMO: "off" }, logFile });
    let shop = start();
    ends.push(() => shop.end());
    await shop.open();
    const place = {
      ...{ folder: join(folder, "observed"), ports, only: ["prometheus"] },
      ...{ opsPorts: [own["OPS_PORT"] ?? ""], smtpPort: own["SMTP_PORT"] ?? "" },
      ruleFiles: writeShortRules(join(folder, "rules")),
    };
    ends.push(() => down(place.folder));
    await up(place, say);
    const ask = createAsk("", "", `http://127.0.0.1:${ports.PROMETHEUS}`);
    const topics = async (query: string) => (await ask.now(query)).map(({ topic = "" }) => topic);
    const firing = () => topics(`ALERTS{alertname="${KAFKA_ALERT}", alertstate="firing"}`);
    /** Who hears a topic asks for that once, when it starts. */
    async function keep(config: Record<string, string>) {
      await configure(brokers, config);
      await shop.end();
      shop = start();
      await shop.open();
    }

    await checks.check("how long a topic keeps its facts is known, and silent as Bodega makes it", async () => {
      const [known, heard] = [await topics("bodega_facts_repeat_seconds"), await firing()];
      return unless(known.includes(TOPIC) && heard.length === 0, () => `known of ${known}, heard of ${heard}`);
    });
    await keep({ ...WELL, "retention.ms": "-1" });
    const fires = async () => unless((await firing()).join() === TOPIC, () => "it does not");
    await checks.check(`${what}: ${KAFKA_ALERT} fires`, fires);
    await keep(WELL);
    const over = async () => unless((await firing()).length === 0, () => "it fires");
    await checks.check(`${KAFKA_ALERT} is over`, over);
  } finally {
    for (const end of ends.toReversed()) await end();
  }
}

async function configure(brokers: string, config: Record<string, string>): Promise<void> {
  const admin = new Kafka({ brokers: brokers.split(","), logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }));
  const resources = [{ type: ConfigResourceTypes.TOPIC, name: TOPIC, configEntries }];
  await admin.alterConfigs({ validateOnly: false, resources });
  await admin.disconnect();
}
