// The house rules: first each rule against its planted bug, then the whole tree against every rule.
import { describe, expect, test } from "bun:test";
import * as rule from "./tidy.ts";
import type { File, Finding } from "./tidy-source.ts";
import { ownFiles, paths, ROOT } from "./tree.ts";

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
      ["packages/service/clock.ts", "return Date.now();"],
      ["packages/jobs/embedded.ts", "setTimeout(poll, POLL_MS);"],
      ["services/order/order.ts", "type Clock = { now(): Date };\nsql`select ${now()} -- not now()`"],
      ["services/payment/stripe.ts", "await fetch(url);"],
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
    ],
    good: [
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
    rule: rule.bucketed,
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
  const serviceOf = (files: number) => Array.from({ length: files }, (_, i) => `services/order/file-${i}.ts`);

  test("a service with 17 source files is too big, tests, pages and migrations are not counted", () => {
    expect(says(serviceOf(17))).toEqual(["17 source files, 16 at most"]);
    expect(
      says([...serviceOf(16), "services/order/a.test.ts", "services/order/b.tsx", "services/order/m/1.sql"]),
    ).toEqual([]);
  });

  test("an eighth package is one too many", () => {
    const packages = ["api", "service", "database", "d", "e", "f", "g", "h"].map((name) => `packages/${name}/a.ts`);
    expect(says(packages)).toEqual(["8 packages, 7 at most"]);
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

  test("documents name only what is there", () => {
    const tree = ["docs/a.md", "README.md", "services/order/order.ts"];
    const read = (path: string, text: string) =>
      rule.documents({ path, text }, tree, ["dev"]).map((found) => found.says);
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
    expect(report(files.flatMap((file) => rule.documents(file, all, scripts)))).toEqual([]);
  });
  test("Biome and this test agree on which drivers are fenced in", async () => {
    const biome = await Bun.file(`${ROOT}/biome.json`).json();
    const groups: { group: string[] }[] = biome.linter.rules.style.noRestrictedImports.options.patterns;
    expect(groups.map(({ group }) => group[0] ?? "").sort()).toEqual(Object.keys(rule.DRIVERS).sort());
  });
  test("every driver in use has exactly one home, jose and amqplib two", () => {
    const homes = (driver: string) => files.filter(({ path }) => rule.DRIVERS[driver]?.test(path)).length;
    for (const driver of Object.keys(rule.DRIVERS)) {
      if (driver !== "hono") expect(homes(driver)).toBeLessThanOrEqual(["jose", "amqplib"].includes(driver) ? 2 : 1);
    }
  });
});
