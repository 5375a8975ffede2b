import { expect, test } from "bun:test";
import { SERVICE_NAMES } from "./all.ts";
import { readSettings } from "./settings.ts";

const APART = {
  CLUSTER_SECRET: "0123456789abcdef0123456789abcdef",
  DATABASE_URL: "postgres://postgres@127.0.0.1:5432/postgres",
  ADMIN_PASSWORD: "four patient horses",
};

test.each([
  [[], "all", SERVICE_NAMES],
  [["all"], "all", SERVICE_NAMES],
  [["gateway"], "gateway", []],
  [["order"], "services", ["order"]],
  [["order", "stock", "order"], "services", ["order", "stock"]],
])("%j runs %s", (args, kind, services) => {
  expect(readSettings(args, APART)).toMatchObject({ kind, services } as object);
});

test.each<[string[], Record<string, string>, string]>([
  [["shop"], {}, "found shop"],
  [["gateway", "order"], {}, "found gateway"],
  [["all", "order"], {}, "found all"],
  [["order"], { CLUSTER_SECRET: "" }, "services apart need CLUSTER_SECRET"],
  [["order"], { CLUSTER_SECRET: "", DATABASE_URL: "" }, "services apart need CLUSTER_SECRET and DATABASE_URL"],
  [["auth"], { ADMIN_PASSWORD: "" }, "services apart need ADMIN_PASSWORD"],
  [["gateway"], { TIME_SCALE: "60" }, "services apart need TIME_SCALE_SINCE"],
  [["order"], { TIME_SCALE: "60", TIME_SCALE_SINCE: "noon" }, "TIME_SCALE_SINCE must be like"],
  [["order"], { CLUSTER_SECRET: "short" }, "CLUSTER_SECRET must have at least 32 characters, found 5"],
  [["order"], { RELAY: "pigeon" }, "RELAY must be poll, wal or debezium, found pigeon"],
  [["order"], { RELAY: "debezium" }, "RELAY=debezium needs KAFKA_BROKERS"],
  [["gateway"], { ORDER_URL: "order:8080" }, "ORDER_URL must be of the form http://host:port, found order:8080"],
  [["gateway"], { ORDER_URL: "http://order:8080/" }, "ORDER_URL must be of the form"],
  [[], { DATABASE_REPLICA_URLS: "postgres://a@b/c", DATABASE_URL: "" }, "DATABASE_REPLICA_URLS needs DATABASE_URL"],
  [[], { DATABASE_REPLICA_URLS: "postgres://a@b/c,postgres:d" }, "DATABASE_REPLICA_URLS is not of the form"],
  [[], { RELAY: "wal", DATABASE_URL: "postgres://a@b:1,c:2/d" }, "RELAY=wal reads the log of one server"],
  [["order"], { STOCK_DATABASE_URL: "stock" }, "STOCK_DATABASE_URL is not of the form postgres://"],
])("%j with %j is refused: %s", (args, env, sentence) => {
  expect(() => readSettings(args, { ...APART, ...env })).toThrow(sentence);
});

test("replicas are named by comma, each with as many hosts as it has", () => {
  const DATABASE_REPLICA_URLS = "postgres://a@b:1/c, postgres://a@d:1,e:2/c";
  const { replicaUrls } = readSettings([], { ...APART, DATABASE_REPLICA_URLS });
  expect(replicaUrls).toEqual(["postgres://a@b:1/c", "postgres://a@d:1,e:2/c"]);
});

test("what one process makes for itself need not be given to it", () => {
  expect(readSettings([], { TIME_SCALE: "60" })).toMatchObject({ kind: "all", timeScale: 60, secret: "" });
});

test("each service has the name that a container network gives it, unless its variable says otherwise", () => {
  const { urls } = readSettings(["gateway"], { ORDER_URL: "http://127.0.0.1:8101" });
  expect([urls["order"], urls["stock"]]).toEqual(["http://127.0.0.1:8101", "http://stock:8080"]);
});

test("services on scaled clocks agree on the time, whenever they were started", () => {
  const env = { ...APART, TIME_SCALE: "60", TIME_SCALE_SINCE: "2026-01-31T08:00:00Z" };
  const at = Date.parse("2026-01-31T08:00:00Z");
  expect(readSettings(["order"], env).anchor).toEqual({ real: at, business: at });
});
