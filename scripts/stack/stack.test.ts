import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SERVICE_NAMES } from "../../services/all.ts";
import { readSettings } from "../../services/settings.ts";
import { ROOT } from "../tree.ts";
import { momentOf } from "./backup.ts";
import { rowsOf } from "./converge.ts";
import { labels, several } from "./doctor.ts";
import { linesIn, type Node, type Service, type Task } from "./engine.ts";
import { stackEnvironment } from "./environment.ts";
import { membersIn, membersOn, migratingIn, othersIn } from "./members.ts";
import { makeSecrets } from "./secrets.ts";
import { filledIn, readStackFile } from "./stack-file.ts";

/** For secrets, and gone afterwards. */
async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "bodega-secrets-"));
  try {
    await work(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const SINCE = "2026-01-05T08:00:00Z";
const LATER = "2026-01-05T08:00:05Z";
const EARLIER = "2026-01-05T07:00:00Z";

function service(running: number, update?: Service["UpdateStatus"]): Service {
  const Spec = { Name: "bodega_order", Labels: {}, TaskTemplate: { ContainerSpec: { Image: "bodega:2" } } };
  const ServiceStatus = { RunningTasks: running, DesiredTasks: 2 };
  return { ID: "order", Spec, ServiceStatus, ...(update && { UpdateStatus: update }) };
}

function once(running: number): Service {
  const { Spec, ServiceStatus, ...found } = service(running);
  const TaskTemplate = { ...Spec.TaskTemplate, RestartPolicy: { Condition: "on-failure" } };
  return { ...found, Spec: { ...Spec, TaskTemplate }, ServiceStatus: { ...ServiceStatus, DesiredTasks: 1 } };
}

function task(state: string, desired: string, createdAt = LATER): Task {
  const Spec = { ContainerSpec: { Image: "bodega:2" } };
  return { ID: "1", ServiceID: "order", CreatedAt: createdAt, DesiredState: desired, Status: { State: state }, Spec };
}

test.each<[string, Service, Task[], string]>([
  ["all of it runs", service(2), [], "ready"],
  ["a replica is missing", service(1), [], "waiting"],
  ["an update goes on", service(2, { State: "updating", StartedAt: LATER }), [], "waiting"],
  ["a rollback goes on", service(2, { State: "rollback_started", StartedAt: LATER }), [], "waiting"],
  [
    "it was rolled back, so that all of it runs",
    service(2, { State: "rollback_completed", StartedAt: LATER }),
    [],
    "failed",
  ],
  ["an update was given up", service(2, { State: "paused", StartedAt: LATER }), [], "failed"],
  [
    "an earlier deployment was rolled back",
    service(2, { State: "rollback_completed", StartedAt: EARLIER }),
    [],
    "ready",
  ],
  ["a task that is there to end goes on", once(1), [task("running", "running")], "waiting"],
  ["a task that is there to end has ended", once(0), [task("complete", "shutdown")], "ready"],
  ["a task that is there to end has failed", once(0), [task("failed", "shutdown")], "waiting"],
  [
    "a task that is there to end has ended before, and goes on again",
    once(1),
    [task("complete", "shutdown", EARLIER), task("running", "running")],
    "waiting",
  ],
])("where %s", (_, found, tasks, state) => {
  expect(rowsOf([found], tasks, SINCE).map((row) => row.state)).toEqual([state as "ready"]);
});

test("a log's frames are read as lines, whatever stream they are of", () => {
  const frame = (stream: number, text: string) => {
    const head = Buffer.from([stream, 0, 0, 0, 0, 0, 0, 0]);
    head.writeUInt32BE(Buffer.byteLength(text), 4);
    return Buffer.concat([head, Buffer.from(text)]);
  };
  expect(linesIn(Buffer.concat([frame(1, "größe\n"), frame(2, "two\nthree\n")]))).toEqual(["größe", "two", "three"]);
});

function node(name: string, Labels: Record<string, string>, Availability = "active"): Node {
  const Description = { Hostname: name, Resources: { NanoCPUs: 0, MemoryBytes: 0 } };
  return { ID: name, Spec: { Labels, Availability }, Description, Status: { State: "ready" } };
}

test("each slot is on one node, which may have several", () => {
  const all = { slot1: "true", slot2: "true", slot3: "true" };
  expect(labels([node("one", all)])).toEqual([]);
  expect(labels([node("one", { slot1: "true", slot2: "true" }), node("two", {})])).toEqual([
    "no node has the label slot3: docker node update --label-add slot3=true one",
  ]);
  expect(labels([node("one", all), node("two", { slot2: "true" })])).toEqual([
    "one, two all have the label slot2: its volumes are on one of them",
  ]);
  expect(labels([node("one", all, "drain")])).toHaveLength(3);
});

test("several nodes want images that all of them have, and to be asked where a member is", () => {
  const images = { BODEGA_IMAGE: "registry.example/bodega:1", PATRONI_IMAGE: "registry.example/patroni:17" };
  const nodes = [node("one", { slot1: "true" }), node("two", { slot2: "true", slot3: "true" }), node("three", {})];
  expect(several(nodes, "one", images)).toEqual([]);
  expect(several(nodes, "three", images)).toEqual([
    "this node has no slot, so that no member of a cluster can be asked from here who leads: run this on a manager that has one",
  ]);
  for (const name of Object.keys(images))
    expect(several(nodes, "one", { ...images, [name]: "" })).toEqual([
      "images that are built here are on this node only: push them to a registry of yours, or load them on every node (docker save, docker load), and say their names in BODEGA_IMAGE and PATRONI_IMAGE",
    ]);
  expect(several(nodes.slice(0, 1), "one", {})).toEqual([]);
});

test("of services with clusters of their own each is provisioned once, on the server that it asks", async () => {
  const { services } = Bun.YAML.parse(readFileSync(join(ROOT, "stack.clusters.yml"), "utf8")) as {
    services: Record<string, { command?: string[]; environment?: Record<string, string> }>;
  };
  const env = { CLUSTER_SECRET: "a secret that is long enough for it", DATABASE_URL: "postgres://pg/postgres" };
  const provisioned: string[][] = [];
  for (const name of migratingIn(Object.keys(services))) {
    const { provisions = [] } = await readSettings(services[name]?.command ?? [], env);
    provisioned.push(provisions);
  }
  expect(provisioned.flat().toSorted()).toEqual(SERVICE_NAMES.toSorted());
  for (const [own] of provisioned.filter((names) => names.length === 1))
    expect(services[own ?? ""]?.environment?.["DATABASE_URL"]).toBe(`postgres://pg-${own}:5432/postgres`);
});

test("of the small stack every member of PostgreSQL looks for the one etcd that there is, in clusters of their own too", async () => {
  await inFolder(async (folder) => {
    for (const [overlays, hosts] of [
      [["small", "clusters"], ["etcd-1:2379"]],
      [["clusters"], ["etcd-1:2379", "etcd-2:2379", "etcd-3:2379"]],
    ] as const) {
      const file = readStackFile([...overlays]);
      const env = await stackEnvironment([...overlays], [], { SECRETS: folder });
      const members = membersIn(file.services).filter((name) => name.startsWith("patroni"));
      expect(members).toHaveLength(12);
      for (const member of members) expect(file.environment(member, env)["ETCD"]).toBe(hosts.join());
    }
  });
});

test("what sees the platform is told everything that is in observability/, and hears of every process", async () => {
  const text = readFileSync(join(ROOT, "stack.observe.yml"), "utf8");
  const { services, configs } = Bun.YAML.parse(text) as {
    services: Record<string, { configs?: { source: string }[] }>;
    configs: Record<string, { file: string }>;
  };
  const made = new Bun.Glob("{alertmanager,collector,grafana,loki,prometheus,tempo}/**/*.{json,yml,yaml}");
  const files = [...made.scanSync(join(ROOT, "observability"))].map((path) => `./observability/${path}`);
  expect(Object.values(configs).map(({ file }) => file)).toEqual(expect.arrayContaining(files));
  const told = Object.values(services).flatMap((service) => service.configs ?? []);
  expect(told.map(({ source }) => source).toSorted()).toEqual(Object.keys(configs).toSorted());
  await inFolder(async (folder) => {
    writeFileSync(join(folder, "alert_webhook_url"), "https://pager.example");
    const file = readStackFile(["observe"]);
    const env = await stackEnvironment(["observe"], [], { SECRETS: folder });
    for (const name of ["gateway", ...SERVICE_NAMES])
      expect(file.environment(name, env)["OTEL_EXPORTER_OTLP_ENDPOINT"]).toBe("http://collector:4318");
  });
});

test("a secret that is not there is named before anything is deployed", () => {
  const env = { SECRETS: "/nowhere" };
  expect(() => readStackFile(["observe"]).hashes(env)).toThrow(/is to be in \/nowhere\/\w+, which cannot be read/);
});

test("of each cluster the first member comes last", () => {
  const members = membersIn(["order", "redis-1", "patroni-1", "patroni-2", "patroni-10", "pg", "etcd-1"]);
  expect(members).toEqual(["etcd-1", "patroni-10", "patroni-2", "patroni-1", "redis-1"]);
});

test("members are on the node with the label of their number", () => {
  const services = ["gateway", "kafka-12", "kafka-2", "patroni-1", "patroni-2", "patroni-order-2"];
  expect(membersOn(node("two", { slot2: "true" }), services)).toEqual(["patroni-2", "patroni-order-2", "kafka-2"]);
  expect(membersOn(node("two", { slot2: "false" }), services)).toEqual([]);
});

test("of what is no member of a cluster mail is updated first and the edge last, and what migrates has been", () => {
  const services = ["haproxy", "gateway", "provision", "auth", "order", "redis-1", "pg", "mail"];
  expect(othersIn(services)).toEqual(["mail", "order", "pg", "auth", "gateway", "haproxy"]);
});

test("variables are filled in as Docker's client does it", () => {
  const text = ["A:-a", "B:-b", "C:-"].map((inside) => ["$", "{", inside, "}"].join("")).join(" ");
  expect(filledIn(text, { A: "x", B: "" })).toBe("x b ");
});

test("secrets are made once, and with them everything that stack.yml gives to a service makes it start", async () => {
  await inFolder(async (folder) => {
    await makeSecrets(folder, "shop.example");
    const read = (name: string) => readFileSync(join(folder, name), "utf8");
    const before = read("pg_super") + read("tls_pem") + read("order_key");
    await makeSecrets(folder, "other.example");
    expect(read("pg_super") + read("tls_pem") + read("order_key")).toBe(before);
    expect(read("tls_pem")).toMatch(/PRIVATE KEY-----\n-----BEGIN CERTIFICATE/);
    // Of Stripe's making, not of ours.
    writeFileSync(join(folder, "stripe_secret_key"), "sk_test_nobodys");
    writeFileSync(join(folder, "stripe_webhook_secret"), "whsec_nobodys");
    for (const overlays of [[], ["stripe"], ["clusters"], ["observe"], ["debezium"]]) {
      const file = readStackFile(overlays);
      for (const name of ["gateway", ...migratingIn(file.services), ...SERVICE_NAMES]) {
        const env = file.environment(name, { PAYMENT_PROVIDER: "embedded" });
        const inPlace = Object.entries(env).map(([key, value]) => [key, value.replace("/run/secrets", folder)]);
        const given = { HOST: "0.0.0.0", OPS_HOST: "0.0.0.0", ...Object.fromEntries(inPlace) };
        await readSettings([name.replace(/^provision-.*/, "provision")], given);
      }
    }
  });
});

test("the small stack, Debezium and Prometheus have every service", () => {
  const small = readFileSync(join(ROOT, "stack.small.yml"), "utf8");
  const debezium = readFileSync(join(ROOT, "stack.debezium.yml"), "utf8");
  const prometheus = readFileSync(join(ROOT, "observability/prometheus/prometheus.yml"), "utf8");
  for (const name of SERVICE_NAMES) {
    expect(small).toContain(`\n  ${name}: *service\n`);
    expect(debezium).toContain(`\n  ${name}: *told\n`);
    expect(prometheus).toContain(`\n          - ${name}\n`);
  }
});

test("what is in a config or a secret is part of what a member is, and a mode is octal", async () => {
  await inFolder(async (folder) => {
    await makeSecrets(folder, "localhost");
    const file = readStackFile(["small"]);
    const env = { SECRETS: folder };
    const told = { ...env, ...file.hashes(env) };
    const print = file.print("patroni-1", told);
    expect(file.print("patroni-1", { ...told })).toBe(print);
    expect(file.print("patroni-1", { ...told, HASH_PATRONI: "another" })).not.toBe(print);
    expect(file.print("patroni-1", { ...told, PG_MEMORY: "4G" })).not.toBe(print);
    expect(file.print("patroni-1", { ...told, HASH_KAFKA: "another" })).toBe(print);
    const [, path = ""] = file.files(["rabbitmq-1"]);
    const { services } = JSON.parse(readFileSync(path, "utf8"));
    expect(Object.keys(services)).toEqual(["rabbitmq-1"]);
    expect(services["rabbitmq-1"].secrets.map(({ mode }: { mode: number }) => mode)).toEqual([0o400, 0o400]);
  });
});

test("an encrypted network is in all else as it is without", () => {
  const networksOf = (name: string) =>
    Bun.YAML.parse(readFileSync(join(ROOT, name), "utf8")) as { networks: Record<string, object> };
  const { networks } = networksOf("stack.yml");
  const encrypted = Object.entries(networks).map(([name, network]) => [
    name,
    { ...network, driver_opts: { encrypted: "true" } },
  ]);
  expect(networksOf("stack.encrypted.yml").networks).toEqual(Object.fromEntries(encrypted));
});

test("a moment to go back to has a zone, and is told in one way", () => {
  expect(momentOf("2026-01-31T09:00:00.5+01:00")).toBe("2026-01-31T08:00:00.500Z");
  for (const at of ["2026-01-31T08:00:00", "yesterday", ""])
    expect(() => momentOf(at)).toThrow("like 2026-01-31T08:00:00Z");
});
