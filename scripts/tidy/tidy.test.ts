// The house rules: first each rule against its planted bug, then the whole tree against every rule.
import { describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../command.ts";
import { ownFiles, paths, ROOT } from "../tree.ts";
import { bucketed, placed } from "./buckets.ts";
import { documents } from "./documents.ts";
import { rooms } from "./rooms.ts";
import * as rule from "./rules.ts";
import type { File, Finding } from "./source.ts";

type FileRule = (file: File) => Finding[];

/** rule, then what it must catch, then what it must let pass. */
const PLANTED: Record<
  string,
  { rule: FileRule; bad: [path: string, text: string][]; good: [path: string, text: string][] }
> = {
  "business code takes time, chance and the network from app": {
    rule: rule.outsideWorld,
    bad: [
      ["services/order/order.ts", "const at = Date.now();"],
      ["services/order/order.ts", "const at = new Date();"],
      ["services/order/order.ts", "const started = performance.now();"],
      ["services/order/order.ts", "const dice = Math.random();"],
      ["services/order/order.ts", "const id = crypto.randomUUID();"],
      ["services/order/order.ts", "const id = Bun.randomUUIDv7();"],
      ["services/auth/user.ts", "const salt = randomBytes(16);"],
      ["services/order/order.ts", "setTimeout(fire, 1000);"],
      ["services/order/order.ts", "setInterval(fire, 1000);"],
      ["services/order/order.ts", "await Bun.sleep(5);"],
      ["services/order/order.ts", "const res = await fetch(url, { method });"],
      ["services/order/store.ts", "sql`update orders set paid_at = now()`"],
      ["services/order/store.ts", "sql`select now()::date`"],
      ["services/order/store.ts", "sql`select 1 ${paid ? sql`and at < now()` : sql``}`"],
      ["services/order/migrations/0001_orders.sql", "created_at timestamptz default now()"],
      ["services/order/migrations/0001_orders.sql", "created_at timestamptz default CURRENT_TIMESTAMP"],
      ["services/order/migrations/0001_orders.sql", "order_id uuid default gen_random_uuid()"],
      ["packages/jobs/embedded.ts", "const at = Date.now();"],
    ],
    good: [
      ["services/order/order.ts", "const at = app.clock.now();\n// never Date.now()\n/* or Math.random() */"],
      ["services/order/order.ts", "const at = new Date(row.at); const got = client.fetch(url);"],
      ["services/gateway/listen.ts", "Bun.serve({ fetch(req, server) { return answer(req, server); } })"],
      [
        "services/order/migrations/0001_orders.sql",
        "-- no default now(): time comes from the app\ncreated_at timestamptz",
      ],
      ["packages/time/clock.ts", "return Date.now();"],
      ["packages/jobs/embedded.ts", "setTimeout(poll, POLL_MS);"],
      ["services/order/order.ts", "type Clock = { now(): Date };\nsql`select ${now()} -- not now()`"],
      ["services/gateway/forward.ts", "await fetch(url);"],
      ["services/order/order.test.ts", "const at = Date.now();"],
      ["scripts/dev.ts", "const at = Date.now();"],
    ],
  },
  "a service never imports a service, a package never imports services": {
    rule: rule.boundaries,
    bad: [
      ["services/order/place-order.ts", 'import { reserve } from "../stock/reserve.ts";'],
      ["services/order/place-order.ts", 'const stock = await import("../stock/reserve.ts");'],
      ["services/order/pages/list.ts", 'import type { Stock } from "../../stock/stock.ts";'],
      ["packages/service/serve.ts", 'import { order } from "../../services/order/service.ts";'],
      ["packages/service/serve.ts", 'export { main } from "../../services/main.ts";'],
    ],
    good: [
      ["services/order/place-order.ts", 'import { insertOrder } from "./store.ts";'],
      ["services/order/place-order.ts", 'import type { App } from "../../packages/service/app.ts";'],
      ["services/main.ts", 'import { order } from "./order/service.ts";'],
      ["tests/life.test.ts", 'import { order } from "../services/order/service.ts";'],
    ],
  },
  "imports between rooms go down, never up or sideways": {
    rule: rooms,
    bad: [
      ["packages/time/clock.ts", 'import { record } from "../database/story.ts";'],
      ["packages/jobs/embedded.ts", 'import type { Events } from "../events/events.ts";'],
      ["packages/locks/redis.ts", 'import { refused } from "../service/errors.ts";'],
      ["packages/service/caller.ts", 'import type { Verifier } from "./wire/tokens.ts";'],
      ["packages/service/wire/health.ts", 'import type { Running } from "../engine/runtime.ts";'],
      ["packages/api/facts.ts", 'import { clock } from "../time/clock.ts";'],
      ["services/mail/transport/smtp.ts", 'import { sentence } from "../../settings.ts";'],
      ["services/order/store.ts", 'import { takeFrom } from "../stock/store.ts";'],
      ["packages/jobs/jobs.ts", 'import { eventually } from "../../tests/kit/eventually.ts";'],
      ["services/main.ts", 'import { ROOT } from "../scripts/tree.ts";'],
    ],
    good: [
      ["packages/service/engine/worker.ts", 'import { bindRpcs } from "../wire/rpc.ts";'],
      ["packages/api/facts.ts", 'import { OrderSchema } from "./gen/bodega/order/v1/order_pb.ts";'],
      ["services/mail/transport/smtp.ts", 'import { find } from "../store.ts";\nimport { a } from "nodemailer";'],
      ["services/start.ts", 'import { createGateway } from "./gateway/gateway.ts";'],
      ["packages/jobs/contract.ts", 'import { eventually } from "../../tests/kit/eventually.ts";'],
    ],
  },
  "a driver is imported in the one file named after it": {
    rule: rule.drivers,
    bad: [
      ["services/order/store.ts", 'import postgres from "postgres";'],
      ["packages/database/relay.ts", 'import type { Sql } from "postgres";'],
      ["packages/database/embedded.ts", 'import postgres from "postgres";'],
      ["packages/events/embedded.ts", 'import { Kafka } from "kafkajs";'],
      ["services/order/service.ts", 'import { Hono } from "hono";'],
      ["services/order/page.tsx", 'import { html } from "hono/html";'],
      ["services/mail/embedded.ts", 'import { createTransport } from "nodemailer";'],
      ["clients/cli/commands/orders.ts", 'import { Command } from "@commander-js/extra-typings";'],
    ],
    good: [
      ["clients/cli/command-line.ts", 'import { Command } from "@commander-js/extra-typings";'],
      ["packages/database/database.ts", 'import postgres from "postgres";'],
      ["services/auth/keys.ts", 'import { SignJWT } from "jose";'],
      ["services/gateway/routes.ts", 'import { cors } from "hono/cors";'],
      ["services/mail/mail.test.ts", 'import { createTransport } from "nodemailer";'],
    ],
  },
  "the environment is read in one place": {
    rule: rule.environment,
    bad: [["services/order/config.ts", "const url = Bun.env.DATABASE_URL;"]],
    good: [["services/main.ts", "const env = Bun.env;"]],
  },
  "no error is swallowed": {
    rule: rule.swallowed,
    bad: [
      ["services/order/order.ts", "try { go(); } catch {}"],
      ["services/order/order.ts", "try { go(); } catch (error) {\n  // fine\n}"],
      ["packages/jobs/embedded.ts", "await close().catch(() => {});"],
      ["packages/jobs/embedded.ts", "await close().catch((_error) => undefined);"],
    ],
    good: [
      ["services/order/order.ts", "try { go(); } catch (error) { log.warn(String(error)); }\ngo().catch(report);"],
    ],
  },
  "no test is focused": {
    rule: rule.focused,
    bad: [["services/order/order.test.ts", 'test.only("one", () => go());']],
    good: [["services/order/order.test.ts", 'test("one", () => go());']],
  },
  "every statement of the order service names its bucket": {
    rule: bucketed,
    bad: [
      ["services/order/store.ts", "sql`select * from orders where order_id = ${id}`"],
      ["services/order/store.ts", "sql`select * from catalogue join order_lines using (product_id)`"],
      ["services/order/store.ts", "sql<{ id: string }[]>`\n  update orders set status = ${s} where order_id = ${id}`"],
      [
        "services/order/store.ts",
        "sql`select 1 from a where bucket = ${b}`; sql`delete from orders ${all ? sql`` : sql`where x`}`",
      ],
    ],
    good: [
      ["services/order/store.ts", "sql`select * from orders where bucket = ${b} and order_id = ${id}`"],
      ["services/order/store.ts", "sql`select * from orders ${sql`where bucket = ${b}`}`; sql`and total > 0`"],
      ["services/order/store.ts", "sql`insert into catalogue values (${id}) on conflict do update set name = ${name}`"],
      ["services/stock/store.ts", "sql`select * from stock`"],
    ],
  },
  "whoever asks for an order says where it is": {
    rule: placed,
    bad: [
      ["services/order/get-order.ts", "const order = await findOrder(app.sql, orderId, null);"],
      ["services/order/cancel-order.ts", "return app.transact(async (tx) => cancel(tx, orderId));"],
      ["services/order/place-order.ts", "return app\n  .record((tx) => insertOrder(tx, order));"],
      ["services/order/list-orders.ts", "const texts = sql`${app.sql`select 1`}`;"],
      ["packages/service/engine/effects.ts", "const rows = await leaseEffects(app.sql, type, lease, 8, []);"],
    ],
    good: [
      [
        "services/order/get-order.ts",
        "const order = await findOrder(app.at(orderId).sql, orderId, null); // not app.sql",
      ],
      ["services/order/catalogue.ts", "await app.transact((tx) => putProduct(tx, entry));"],
      ["services/order/order.test.ts", "await app.sql`select from orders`;"],
      ["services/stock/get-stock.ts", "await findItems(app.sql, ids);"],
      ["packages/service/engine/runtime.ts", "const { worker } = app.sql;"],
    ],
  },
  "no file is longer than 300 lines": {
    rule: rule.length,
    bad: [["services/order/order.ts", "x\n".repeat(301)]],
    good: [
      ["services/order/order.ts", "x\n".repeat(300)],
      ["README.md", "x\n".repeat(301)],
    ],
  },
};

describe("planted bugs", () => {
  for (const [name, { rule: check, bad, good }] of Object.entries(PLANTED)) {
    for (const [path, text] of bad) {
      test(`${name}: finds ${JSON.stringify(text.slice(0, 60))} in ${path}`, () => {
        expect(check({ path, text })).toHaveLength(1);
      });
    }
    test(`${name}: lets good code pass`, () => {
      expect(good.flatMap(([path, text]) => check({ path, text }))).toEqual([]);
    });
  }

  const says = (paths: string[]) => rule.layout(paths.map((path) => ({ path, text: "" }))).map((found) => found.says);
  const serviceOf = (stories: number, others: number) => [
    {
      path: "services/order/service.ts",
      text: Array.from({ length: stories }, (_, i) => `import { a } from "./story-${i}.ts";`).join("\n"),
    },
    ...Array.from({ length: stories }, (_, i) => ({ path: `services/order/story-${i}.ts`, text: "" })),
    ...Array.from({ length: others }, (_, i) => ({ path: `services/order/other-${i}.ts`, text: "" })),
  ];

  test("a service has as many stories as it likes, and ten files besides; tests, migrations and other folders are not among them", () => {
    const tooMany = ["11 files that service.ts does not name, 10 at most"];
    expect(rule.layout(serviceOf(30, 11)).map((found) => found.says)).toEqual(tooMany);
    const uncounted = ["services/order/a.test.ts", "services/order/adapter/b.ts", "services/order/migrations/1.sql"];
    expect(rule.layout([...serviceOf(30, 10), ...uncounted.map((path) => ({ path, text: "" }))])).toEqual([]);
    const eleven = (folder: string) => Array.from({ length: 11 }, (_, i) => `services/${folder}/file-${i}.ts`);
    expect(says(eleven("gateway"))).toEqual(tooMany);
    expect(says(eleven("mail/letters"))).toEqual(tooMany);
    expect(says(eleven("mail").slice(1))).toEqual([]);
  });

  test("a ninth package is one too many", () => {
    const packages = ["api", "service", "database", "d", "e", "f", "g", "h", "i"].map(
      (name) => `packages/${name}/a.ts`,
    );
    expect(says(packages)).toEqual(["9 packages, 8 at most"]);
    expect(says(packages.slice(1))).toEqual([]);
  });

  test("folders called after nothing and barrels are found", () => {
    expect(says(["services/order/utils/a.ts"])).toEqual(["a folder called utils says nothing about what is in it"]);
    expect(says(["packages/api/index.ts"])).toEqual(["a barrel: import the file that has the code"]);
  });

  test("a port lacks nothing: embedded adapter and contract", () => {
    expect(says(["packages/jobs/rabbitmq.ts", "packages/jobs/embedded.ts"])).toEqual(["a port has contract.ts"]);
    expect(says(["packages/jobs/contract.ts"])).toEqual(["a port has embedded.ts"]);
    expect(says(["packages/jobs/contract.ts", "packages/jobs/embedded.ts"])).toEqual([]);
  });

  test("two files that import each other are found, though it be for a type only", async () => {
    const folder = await mkdtemp(join(tmpdir(), "bodega-circle-"));
    try {
      const { linter } = await Bun.file(`${ROOT}/biome.json`).json();
      const rules = { suspicious: { noImportCycles: linter.rules.suspicious.noImportCycles } };
      await Bun.write(`${folder}/biome.json`, JSON.stringify({ root: true, linter: { rules } }));
      await Bun.write(
        `${folder}/a.ts`,
        'import { b } from "./b.ts";\nexport type A = number;\nexport const a: A = b;\n',
      );
      const lint = () =>
        run(["biome", "lint", "--colors=off", "--only=suspicious/noImportCycles", "."], { cwd: folder });
      await Bun.write(`${folder}/b.ts`, "export const b = 1;\n");
      expect(await lint()).toMatchObject({ code: 0 });
      await Bun.write(`${folder}/b.ts`, 'import type { A } from "./a.ts";\nexport const b: A = 1;\n');
      const { code, output } = await lint();
      expect([code, output.match(/noImportCycles ━/g)?.length]).toEqual([1, 2]);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  test("documents name only what is there", () => {
    const tree = ["docs/a.md", "README.md", "services/order/order.ts"];
    const read = (path: string, text: string) => documents({ path, text }, tree, ["dev"]).map((found) => found.says);
    expect(read("docs/a.md", "[gone](b.md)")).toEqual(["links to b.md, which does not exist"]);
    expect(read("README.md", "see `services/order/gone.ts`")).toEqual([
      "names services/order/gone.ts, which does not exist",
    ]);
    expect(read("README.md", "bun run gone")).toEqual(["says bun run gone, which is no script"]);
    const fine =
      "[up](../README.md#top) [out](https://a.test/b.md) `services/order/order.ts:3` `services/order/` `a/b` bun run dev";
    expect(read("docs/a.md", fine)).toEqual([]);
  });

  test("an import is found at its own line, comments above it counted", async () => {
    const text =
      '/* two\nlines */\nconst url = "https://a.test"; // from "../stock/stock.ts"\nimport "../stock/stock.ts";';
    expect(rule.boundaries({ path: "services/order/a.ts", text }).map((found) => found.line)).toEqual([4]);
  });
});

describe("the tree", async () => {
  const files = await ownFiles();
  const scripts = Object.keys((await Bun.file(`${ROOT}/package.json`).json()).scripts);
  const report = (found: Finding[]) => found.map(({ path, line, says }) => `${path}:${line} ${says}`);

  for (const [name, { rule: check }] of Object.entries(PLANTED)) {
    test(name, () => expect(report(files.flatMap(check))).toEqual([]));
  }
  test("services, packages and ports keep their shape", () => expect(report(rule.layout(files))).toEqual([]));
  test("documents name only what is there", () => {
    const all = paths();
    expect(report(files.flatMap((file) => documents(file, all, scripts)))).toEqual([]);
  });
  test("every driver in use has exactly one home, jose and amqplib two", () => {
    const homes = (driver: string) => files.filter(({ path }) => rule.DRIVERS[driver]?.test(path)).length;
    for (const driver of Object.keys(rule.DRIVERS)) {
      if (driver !== "hono") expect(homes(driver)).toBeLessThanOrEqual(["jose", "amqplib"].includes(driver) ? 2 : 1);
    }
  });
});
