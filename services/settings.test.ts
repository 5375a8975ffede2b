import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { StartError } from "../packages/database/start-error.ts";
import { SERVICE_NAMES } from "./all.ts";
import { keyVariable } from "./keys.ts";
import { readSettings, type Settings } from "./settings.ts";

const KEY = "0123456789abcdef0123456789abcdef";
const APART = {
  ...Object.fromEntries([...SERVICE_NAMES, "broker", "gateway"].map((name) => [keyVariable(name), KEY])),
  PUBLIC_KEYS: '{"keys":[]}',
  DATABASE_URL: "postgres://postgres@127.0.0.1:5432/postgres",
  ADMIN_PASSWORD: "four patient horses",
};

const PROVISION = { CLUSTER_SECRET: KEY };

test.each([
  [[], "all", SERVICE_NAMES],
  [["all"], "all", SERVICE_NAMES],
  [["all", "without", "activity", "canary"], "all", SERVICE_NAMES.filter((name) => !/^(activity|canary)$/.test(name))],
  [["gateway"], "gateway", []],
  [["order"], "services", ["order"]],
  [["order", "stock", "order"], "services", ["order", "stock"]],
])("%j runs %s", async (args, kind, services) => {
  expect(await readSettings(args, APART)).toMatchObject({ kind, services } as object);
});

test("a server is provisioned for all services, or for those that are named", async () => {
  const provisions = async (...names: string[]) =>
    (await readSettings(["provision", ...names], { ...PROVISION, DATABASE_URL: APART.DATABASE_URL })).provisions;
  expect(await provisions()).toEqual([...SERVICE_NAMES, "broker"]);
  expect(await provisions("order", "auth", "order")).toEqual(["order", "auth"]);
  const others = SERVICE_NAMES.filter((name) => !/^(order|auth)$/.test(name));
  expect(await provisions("without", "order", "auth")).toEqual(others);
});

test.each<[string[], Record<string, string>, string]>([
  [["shop"], {}, "found shop"],
  [["gateway", "order"], {}, "found gateway"],
  [["all", "order"], {}, "found all"],
  [["all", "without"], {}, "found all without"],
  [["all", "without", "shop"], {}, "found shop"],
  [["order"], { ORDER_KEY: "" }, "services apart need ORDER_KEY"],
  [["order"], { BROKER_KEY: "" }, "services apart need BROKER_KEY"],
  [["order"], { PUBLIC_KEYS: "", DATABASE_URL: "" }, "services apart need PUBLIC_KEYS and DATABASE_URL"],
  [["gateway"], { GATEWAY_KEY: "" }, "services apart need GATEWAY_KEY"],
  [["provision"], {}, "services apart need CLUSTER_SECRET"],
  [["provision", "shop"], {}, "found shop"],
  [["provision", "without"], {}, "found without"],
  [["secrets"], {}, "found secrets"],
  // As it was once: all that one service knew opened all others.
  [["order"], { CLUSTER_SECRET: KEY }, 'CLUSTER_SECRET is for "provision" alone'],
  [["gateway"], { CLUSTER_SECRET: KEY }, "give each process its own, such as ORDER_KEY_FILE"],
  [["order"], { PUBLIC_KEYS: "keys" }, "PUBLIC_KEYS must be what"],
  [["order"], { PUBLIC_KEYS: '{"keys":[{"kid":"key-1"}]}' }, "PUBLIC_KEYS must be what"],
  [["auth"], { ADMIN_PASSWORD: "" }, "services apart need ADMIN_PASSWORD"],
  [["gateway"], { TIME_SCALE: "60" }, "services apart need TIME_SCALE_SINCE"],
  [["order"], { TIME_SCALE: "60", TIME_SCALE_SINCE: "noon" }, "TIME_SCALE_SINCE must be like"],
  [["order"], { ORDER_KEY: "short" }, "ORDER_KEY must have at least 32 characters, found 5"],
  [["order"], { RELAY: "pigeon" }, "RELAY must be poll, wal or debezium, found pigeon"],
  [["order"], { RELAY: "debezium" }, "RELAY=debezium needs KAFKA_BROKERS"],
  [["gateway"], { ORDER_URL: "order:8080" }, "ORDER_URL must be of the form http://host:port, found order:8080"],
  [["gateway"], { ORDER_URL: "http://order:8080/" }, "ORDER_URL must be of the form"],
  [[], { DATABASE_REPLICA_URLS: "postgres://a@b/c", DATABASE_URL: "" }, "DATABASE_REPLICA_URLS needs DATABASE_URL"],
  [[], { DATABASE_REPLICA_URLS: "postgres://a@b/c,postgres:d" }, "DATABASE_REPLICA_URLS is not of the form"],
  [[], { RELAY: "wal", DATABASE_URL: "postgres://a@b:1,c:2/d" }, "RELAY=wal reads the log of one server"],
  [["order"], { STOCK_DATABASE_URL: "stock" }, "STOCK_DATABASE_URL is not of the form postgres://"],
  [["mail"], { SMTP_PORT: "mail" }, "SMTP_PORT must be a port from 0 to 65535, found mail"],
])("%j with %j is refused: %s", async (args, env, sentence) => {
  await expect(readSettings(args, { ...APART, ...env })).rejects.toThrow(sentence);
});

// Every secret variable, with a value that makes no sense or little.
test.each([
  ...["ADMIN_PASSWORD", "AUTH_SECRET", "CLUSTER_SECRET", "EVENTLOG_SECRET", "STRIPE_SECRET_KEY"],
  ...["STRIPE_WEBHOOK_SECRET", "DATABASE_URL", "ORDER_DATABASE_URL", "DATABASE_REPLICA_URLS"],
  ...["RABBITMQ_URL", "REDIS_URL", "SMTP_URL"],
])("a complaint about %s does not repeat its value", async (name) => {
  for (const value of ["hidden", "http://shop:hidden@host:1", "amqp://shop:hid%/hidden@host"]) {
    const STRIPE = { STRIPE_SECRET_KEY: "sk_test_1", STRIPE_WEBHOOK_SECRET: "whsec_1" };
    const refusal = await readSettings([], { ...STRIPE, [name]: value }).catch((error: Error) => error);
    if (refusal instanceof Error) expect(refusal.message).not.toContain("hidden");
    if (/SECRET|URL/.test(name) && value === "hidden") expect(refusal).toBeInstanceOf(StartError);
  }
});

test.each(["PUBLIC_URL", "CANARY_URL", "ORDER_URL", "STRIPE_API_BASE"])(
  "%s is shown and logged, so it holds no password",
  async (name) => {
    const env = { STRIPE_SECRET_KEY: "sk_test_1", STRIPE_WEBHOOK_SECRET: "whsec_1", CANARY_EVERY: "5s" };
    const refusal = readSettings([], { ...env, [name]: "http://shop:hidden@host:1" });
    await expect(refusal).rejects.toThrow(`${name} must hold no user and no password`);
  },
);

test("a process needs the keys of its own services, and is told of no other", async () => {
  const { keys, secret } = await readSettings(["order", "stock"], APART);
  expect([Object.keys(keys), secret]).toEqual([["order", "stock", "broker"], ""]);
  const carried = { KAFKA_BROKERS: "kafka:9092", RABBITMQ_URL: "amqp://rabbit", BROKER_KEY: "" };
  expect(Object.keys((await readSettings(["order"], { ...APART, ...carried })).keys)).toEqual(["order"]);
  expect(Object.keys((await readSettings(["gateway"], APART)).keys)).toEqual(["gateway"]);
});

test("a secret may be in the file that <NAME>_FILE names", async () => {
  const folder = mkdtempSync(join(tmpdir(), "bodega-settings-"));
  try {
    const path = join(folder, "url");
    writeFileSync(path, "postgres://shop:from-a-file@db/shop\n");
    expect(await readSettings([], { DATABASE_URL_FILE: path })).toMatchObject({
      databaseUrl: "postgres://shop:from-a-file@db/shop",
    });
    await expect(readSettings([], { DATABASE_URL_FILE: join(folder, "none") })).rejects.toThrow(StartError);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("replicas are named by comma, each with as many hosts as it has", async () => {
  const DATABASE_REPLICA_URLS = "postgres://a@b:1/c, postgres://a@d:1,e:2/c";
  const { replicaUrls } = await readSettings([], { ...APART, DATABASE_REPLICA_URLS });
  expect(replicaUrls).toEqual(["postgres://a@b:1/c", "postgres://a@d:1,e:2/c"]);
});

test("what one process makes for itself need not be given to it", async () => {
  expect(await readSettings([], { TIME_SCALE: "60" })).toMatchObject({ kind: "all", timeScale: 60, secret: "" });
});

test("each service has the name that a container network gives it, unless its variable says otherwise", async () => {
  const { urls } = await readSettings(["gateway"], { ...APART, ORDER_URL: "http://127.0.0.1:8101" });
  expect([urls["order"], urls["stock"]]).toEqual(["http://127.0.0.1:8101", "http://stock:8080"]);
});

test("services on scaled clocks agree on the time, whenever they were started", async () => {
  const env = { ...APART, TIME_SCALE: "60", TIME_SCALE_SINCE: "2026-01-31T08:00:00Z" };
  const at = Date.parse("2026-01-31T08:00:00Z");
  expect((await readSettings(["order"], env)).anchor).toEqual({ real: at, business: at });
});

test("what a service wants made is made unless it is set, and an empty variable is not set", async () => {
  const { made, load } = await readSettings([], { ADMIN_PASSWORD: "" });
  expect(made).toEqual(["ADMIN_PASSWORD", "EVENTLOG_SECRET"]);
  const passwordOf = async (settings: Pick<Settings, "load">) => {
    const services = await settings.load({ ADMIN_PASSWORD: "made for the first start" });
    return services.find(({ name }) => name === "auth")?.config;
  };
  expect(await passwordOf({ load })).toMatchObject({ adminPassword: "made for the first start" });
  expect(await passwordOf(await readSettings([], APART))).toMatchObject({ adminPassword: APART.ADMIN_PASSWORD });
});
