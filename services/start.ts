import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { AuthService } from "../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { openDatabase } from "../packages/database/database.ts";
import { startEmbeddedPostgres } from "../packages/database/embedded.ts";
import { migrate } from "../packages/database/migrate.ts";
import { provision } from "../packages/database/provision.ts";
import { explain, explainDatabase } from "../packages/database/start-error.ts";
import { authority, type BannerLine } from "../packages/service/outside.ts";
import { createOriginReader, createOriginSeal } from "../packages/service/wire/edge-origin.ts";
import { remoteTime } from "../packages/service/wire/remote.ts";
import { createVerifier, deriveEdgeKey } from "../packages/service/wire/tokens.ts";
import type { Parts } from "../packages/telemetry/inspection.ts";
import type { Log } from "../packages/telemetry/log.ts";
import { createMetrics, type Metrics } from "../packages/telemetry/metrics.ts";
import { type Anchor, systemClock } from "../packages/time/clock.ts";
import { createFollowedTime } from "../packages/time/followed.ts";
import { systemRandom } from "../packages/time/random.ts";
import { declarations } from "./all.ts";
import { type Carriers, connectCarriers, nameCarriers, openLocks } from "./carriers.ts";
import { inspectCertificate } from "./certificate.ts";
import { anchorFor, keptSecrets } from "./data-folder.ts";
import { inspectDisk } from "./disk.ts";
import { createGateway, type GatewayOptions } from "./gateway/gateway.ts";
import type { Listening } from "./gateway/listen.ts";
import { listenInside } from "./inner-port.ts";
import { databaseName, GATEWAY, writeSecrets } from "./keys.ts";
import { type Platform, type PlatformOptions, PRIVATE_POLL_MS, startPlatform, usersKeys } from "./platform.ts";
import { remoteServices, transportsTo } from "./remote-services.ts";
import { type Settings, sentence } from "./settings.ts";

/** What is to be closed, the last first. */
export type Stops = (() => Promise<void>)[];

/** `ending` aborts when this process is to end. */
export async function start(settings: Settings, log: Log, stops: Stops, ending: AbortSignal): Promise<void> {
  const { kind, gateway } = settings;
  if (kind === "provision") return provisionAll(settings, log);
  if (kind === "secrets") return makeSecrets(settings);
  if (kind === "all") await startAll(settings, log, stops);
  if (kind === "gateway") await startEdge(settings, log, stops);
  if (kind === "services") await startServices(settings, log, stops, ending);
  log.info("ports", nameCarriers(settings));
  if (kind !== "services" && !gateway.rateLimits) log.warn("rate limits are off: fit for benches only");
}

/** Everything in this process, on whatever of it is not embedded. */
async function startAll(settings: Settings, log: Log, stops: Stops): Promise<void> {
  const { dataDir, timeScale, made } = settings;
  const databaseUrl = settings.databaseUrl ?? (await embeddedDatabase(dataDir, log, stops));
  const { secrets, anchor } = keptData(dataDir, timeScale, made);
  const base = foundation(settings, anchor, log, stops);
  const services = await settings.load(secrets.made);
  const platform = await platformOn(base, { services, databaseUrl, secret: settings.secret || secrets.database });
  const listeners = await openListeners(base, platform);
  const told = services.flatMap(({ banner, config }) => banner?.(config, secrets.fresh) ?? []);
  const parts = { ...platform.parts, disk: () => inspectDisk(dataDir) };
  announce(settings, await openEdge(base, { ...platform, parts }), listeners, told);
}

/**
 * Makes what services need on the server of DATABASE_URL, tables included, so that of an upgrade this is the first step: each service then finds its own by its
 * key, and has no right to make anything on the server. Databases that were made under another secret are taken over.
 */
async function provisionAll({ databaseUrl = "", secret, relay, provisions = [] }: Settings, log: Log): Promise<void> {
  const names = provisions.map(databaseName);
  const urls = await provision(databaseUrl, { secret, names, relay, takeOver: true }).catch((error: unknown) => {
    throw explainDatabase(error, undefined);
  });
  for (const { name, migrations } of await declarations()) {
    if (!provisions.includes(name)) continue;
    const database = openDatabase(urls.get(databaseName(name)) ?? "", name);
    const told = (migration: string, seconds: number) =>
      log.info("migration.running", { service: name, migration, seconds });
    await migrate(database, migrations, told).finally(database.close);
  }
  process.stdout.write(`${names.join(" ")}: ready\n`);
}

async function makeSecrets({ folder = "" }: Settings): Promise<void> {
  const made = (await declarations()).flatMap((service) => service.made ?? []);
  for (const path of await writeSecrets(folder, made)) process.stdout.write(`${path}\n`);
}

/** The edge alone. It needs no database: it passes on what it is asked and signs where that came from, and each service decides. */
async function startEdge(settings: Settings, log: Log, stops: Stops): Promise<void> {
  const base = foundation(settings, settings.anchor, log, stops);
  const seal = createOriginSeal(await deriveEdgeKey(settings.keys[GATEWAY] ?? ""), base.securityClock);
  const { urls, innerTls } = settings;
  const services = remoteServices(await declarations(), urls, seal, innerTls);
  const auth = transportsTo(urls, innerTls)(AuthService);
  const verifier = createVerifier(async () => ({ keys: await usersKeys(auth) }), base.securityClock);
  stops.push(base.time.close);
  // It has no database of its own, and tokens have times in them: who made them tells the time.
  void base.time
    .follow(() => remoteTime(urls["auth"] ?? "", innerTls))
    .catch((error: unknown) => {
      log.warn("clock.not_followed", { message: String(error) });
    });
  const locks = openLocks(settings, log, base.random);
  stops.push(locks.close);
  const { port, grpcPort, opsPort } = await openEdge(base, {
    services,
    verifier,
    locks,
    parts: { locks: locks.inspect },
  });
  log.info("open", { runs: "gateway", port, grpc_port: grpcPort, ops_port: opsPort });
}

/** Some services, for the edge and for each other. */
async function startServices(settings: Settings, log: Log, stops: Stops, ending: AbortSignal): Promise<void> {
  const base = foundation(settings, settings.anchor, log, stops);
  const { databaseUrl = "", urls, innerTls, gateway, publicKeys } = settings;
  const services = await settings.load();
  const keys = { own: settings.keys, services: publicKeys.services };
  const elsewhere = transportsTo(urls, innerTls);
  const platform = await platformOn(base, { services, databaseUrl, keys, elsewhere, ending });
  await openListeners(base, platform);
  const readOrigin = createOriginReader(publicKeys.edge, base.securityClock);
  const { services: running, parts } = platform;
  const inside = listenInside({ ...gateway, ...base, services: running, parts, readOrigin, tls: innerTls });
  stops.push(inside.close);
  log.info("open", { runs: settings.services.join(" "), port: inside.port, ops_port: inside.opsPort });
}

/** What every kind of process stands on. */
function foundation(settings: Settings, anchor: Anchor, log: Log, stops: Stops) {
  const metrics = createMetrics();
  const time = createFollowedTime(tellSkew(metrics, log));
  const clock = systemClock(settings.timeScale, anchor, time.nowMs);
  const securityClock = systemClock(1, { real: 0, business: 0 }, time.nowMs);
  return { settings, stops, log, time, clock, securityClock, random: systemRandom(clock), metrics };
}

/** Further than this, people reading this machine's other logs are misled: worth a line, once. */
const SKEW_MS_TOLD = 1_000;

function tellSkew(metrics: Metrics, log: Log) {
  let told = false;
  return (skewMs: number) => {
    metrics.clockSkew.set(skewMs / 1_000);
    const off = Math.abs(skewMs) > SKEW_MS_TOLD;
    if (off && !told) log.warn("clock.off", { skew_ms: Math.round(skewMs), decided_by: "the database's clock" });
    told = off;
  };
}

type Foundation = ReturnType<typeof foundation>;

async function platformOn(
  base: Foundation,
  where: Pick<PlatformOptions, "services" | "databaseUrl" | "secret" | "keys" | "elsewhere" | "ending">,
): Promise<Platform> {
  const { databaseUrl, databaseUrls, replicaUrls, dataDir, relay } = base.settings;
  const platform = await startPlatform({
    ...base,
    ...where,
    databaseUrls,
    replicaUrls,
    databasePrefix: "bodega",
    relay,
    ...(!databaseUrl && { pollMs: PRIVATE_POLL_MS }),
    ...(await carriersOf(base)),
  }).catch((error: unknown) => {
    throw explainDatabase(error, databaseUrl ? undefined : dataDir, where.keys && PROVISIONED);
  });
  base.stops.push(platform.close);
  return platform;
}

const PROVISIONED =
  'have been made ready by "bun services/main.ts provision" with the secret that the keys of these services follow from';

function carriersOf({ settings, log, random }: Foundation): Promise<Partial<Carriers>> {
  return connectCarriers(settings, log, random).catch((error: unknown) => {
    throw sentence(error);
  });
}

function certificateAt(at: string | undefined, now: () => Date): Parts {
  return at === undefined ? {} : { certificate: () => inspectCertificate(at, now()) };
}

async function openEdge(
  { settings, log, metrics, time, securityClock, stops }: Foundation,
  { services, verifier, locks, parts }: Pick<GatewayOptions, "services" | "verifier" | "locks"> & { parts: Parts },
): Promise<Listening> {
  const config = settings.gateway;
  const edge = createGateway({
    ...{ services, verifier, locks, metrics, config, time, clock: securityClock },
    parts: { ...parts, ...certificateAt(config.certificateAt, securityClock.now) },
    log: log.with({ service: "gateway" }),
  });
  const listening = await edge.listen();
  stops.push(listening.close);
  return listening;
}

/** What services open beside the edge, and its lines of the banner. */
async function openListeners({ stops }: Foundation, { services }: Platform): Promise<BannerLine[]> {
  const lines: BannerLine[] = [];
  for (const { definition, app } of services) {
    for (const open of definition.listens ?? []) {
      const { banner, close } = await open(app);
      stops.push(close);
      lines.push(banner);
    }
  }
  return lines;
}

function keptData(dataDir: string, timeScale: number, made: string[]) {
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    const secrets = keptSecrets(join(dataDir, "secrets.json"), made);
    return { secrets, anchor: anchorFor(join(dataDir, "clock.json"), timeScale) };
  } catch (error) {
    throw explain(error, dataDir);
  }
}

async function embeddedDatabase(dataDir: string, log: Log, stops: Stops): Promise<string> {
  const server = await startEmbeddedPostgres({ dataDir, log: (line) => log.info("postgres", { line }) });
  stops.push(server.close);
  return server.url;
}

/** What a person needs to know of a process that runs everything. */
function announce(
  { gateway, dataDir, timeScale }: Settings,
  edge: Listening,
  listeners: BannerLine[],
  told: BannerLine[],
) {
  const at = (port: number) => authority(gateway.host, port);
  const lines: BannerLine[] = [
    ["Edge", `http://${at(edge.port)}        Connect, gRPC-Web, REST; /openapi.json`],
    ["gRPC", at(edge.grpcPort)],
    ...listeners,
    ["Operations", `http://${authority(gateway.opsHost, edge.opsPort)}/metrics`],
    ...told,
    ["Data", dataDir],
    ...(timeScale === 1 ? [] : [["Time", `runs ${timeScale} times as fast`] satisfies BannerLine]),
  ];
  const width = Math.max(...lines.map(([what]) => what.length)) + 2;
  const text = lines.map(([what, answer]) => `  ${what.padEnd(width)}${answer}`).join("\n");
  process.stderr.write(`\n  Bodega is open.\n\n${text}\n\n`);
}
