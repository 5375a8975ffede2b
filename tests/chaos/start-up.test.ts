// What a user meets who starts Bodega: a banner, or one clear sentence and nothing left behind.
import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { LoginResponseSchema } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import {
  GetOrderResponseSchema,
  OrderStatus,
  PlaceOrderResponseSchema,
} from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { ListProductsResponseSchema } from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import { type Environment, freePorts, listening, PORTS } from "../../scripts/copy/ports.ts";
import { canMount, fill, until } from "../kit/embedded-postgres.ts";
import { killPostgres, type Program, postgresOf, startProgram } from "../kit/program.ts";
import { scratchFolder } from "../kit/scratch.ts";
import { createClient, must } from "./client.ts";
import { createDice } from "./dice.ts";

setDefaultTimeout(90_000);

const ADMIN = { email: "admin@bodega.test", password: "four starting horses" };
const CLOSE_MS_MAX = 10_000;

/** Everything of this file lies below it. */
const root = scratchFolder("bodega-start-up-");
/** Has been opened and closed once. */
const used = join(root, "used");
const started: { program: Program; dataDir: string }[] = [];
let folders = 0;

beforeAll(async () => {
  const { program } = await open({ DATA_DIR: used });
  program.signal("SIGINT");
  await program.exited;
});

afterEach(async () => {
  for (const { program, dataDir } of started.splice(0)) {
    program.signal("SIGKILL");
    await program.exited;
    killPostgres(dataDir);
  }
});

afterAll(() => rmSync(root, { recursive: true, force: true }));

test("the banner says where everything is; Ctrl-C ends it with 0 and leaves no PostgreSQL", async () => {
  const { program, env } = await open({ DATA_DIR: used });
  const said = program.said();
  expect(said).toContain(`http://127.0.0.1:${env["PORT"]}`);
  expect(said).toContain(`http://127.0.0.1:${env["MAIL_PORT"]}`);
  expect(said).toContain(`SMTP on ${env["SMTP_PORT"]}`);
  expect(said).toContain(`127.0.0.1:${env["GRPC_PORT"]}`);
  expect(said).toContain(`http://127.0.0.1:${env["OPS_PORT"]}/metrics`);
  // Whoever set the password knows it.
  expect(said).toContain(ADMIN.email);
  expect(said).not.toContain(ADMIN.password);
  expect(said).toContain(used);
  for (const name of ["PORT", "MAIL_PORT"]) expect((await fetch(`http://127.0.0.1:${env[name]}/`)).status).toBe(200);
  expect(postgresOf(used)).toBeDefined();
  program.signal("SIGINT");
  expect(await ended(program)).toBe(0);
  expect(postgresOf(used)).toBeUndefined();
  expect(stackLines(program.said())).toEqual([]);
});

test("Ctrl-C in the middle of the very first start leaves nothing running, and the next start works", async () => {
  const dataDir = newFolder();
  const { program } = await begin({ DATA_DIR: dataDir });
  await until(() => existsSync(dataDir) && readdirSync(dataDir).some((name) => name.startsWith("postgres")));
  program.signal("SIGINT");
  await ended(program);
  expect(postgresOf(dataDir)).toBeUndefined();
  expect(stackLines(program.said())).toEqual([]);
  await open({ DATA_DIR: dataDir });
});

test.each([
  ["the program", false],
  ["the program and PostgreSQL", true],
])("an order placed before kill -9 of %s is there afterwards", async (_, postgresToo) => {
  const first = await open({ DATA_DIR: used });
  const orderId = await placeOrder(first.env);
  first.program.signal("SIGKILL");
  if (postgresToo) killPostgres(used);
  await first.program.exited;
  const second = await open({ DATA_DIR: used });
  const order = await findOrder(second.env, orderId);
  expect(order?.status).toBe(OrderStatus.PENDING);
});

test("a second start on the same data is refused, and the first goes on", async () => {
  const first = await open({ DATA_DIR: used });
  const said = await refusal({ DATA_DIR: used });
  expect(said).toContain(`already runs on ${used}`);
  expect(said).toContain("DATA_DIR");
  expect(postgresOf(used)).toBeDefined();
  const orderId = await placeOrder(first.env);
  expect((await findOrder(first.env, orderId))?.orderId).toBe(orderId);
});

test.each(Object.keys(PORTS).map((name) => [name]))(
  "a taken %s is named, and PostgreSQL does not stay behind",
  async (name) => {
    const env = await freePorts();
    const stranger = await listening(Number(env[name]));
    try {
      const said = await refusal({ ...env, DATA_DIR: used });
      expect(said).toContain(`${env[name]}`);
      expect(said).toMatch(new RegExp(`\\b${name}\\b`));
      expect(said).toContain("taken");
      expect(postgresOf(used)).toBeUndefined();
    } finally {
      await new Promise((resolve) => stranger.close(resolve));
    }
  },
);

test.each<[string, string, RegExp]>([
  ["TIME_SCALE", "0", /TIME_SCALE must be a number above 0.*found 0/],
  ["TIME_SCALE", "fast", /TIME_SCALE must be a number above 0.*found fast/],
  ["PORT", "99999", /PORT must be a port from 0 to 65535, found 99999/],
  ["GRPC_PORT", "http", /GRPC_PORT must be a port from 0 to 65535, found http/],
  ["OPS_PORT", "-1", /OPS_PORT must be a port from 0 to 65535, found -1/],
  ["MAIL_PORT", "70000", /MAIL_PORT must be a port from 0 to 65535, found 70000/],
  ["SMTP_PORT", "25x", /SMTP_PORT must be a port from 0 to 65535, found 25x/],
  ["DEMO", "maybe", /DEMO .*maybe.*/],
  ["KITCHEN_STAFF", "two", /KITCHEN_STAFF .*two/],
  ["RATE_LIMITS", "some", /RATE_LIMITS must be on or off, found some/],
  ["ADMIN_EMAIL", "nobody", /ADMIN_EMAIL must be an e-mail address, found nobody/],
  ["ADMIN_PASSWORD", "short", /ADMIN_PASSWORD must have at least 8 characters, found 5/],
  ["ADMIN_PASSWORD", "password123", /ADMIN_PASSWORD is one of the most common passwords/],
  ["SMTP_URL", "mail.example", /SMTP_URL is not of the form/],
  ["DATABASE_URL", "elsewhere", /DATABASE_URL is not of the form postgres:/],
  ["KAFKA_BROKERS", "localhost", /KAFKA_BROKERS must be host:port, or several by comma, found "localhost"/],
  ["RABBITMQ_URL", "localhost", /RABBITMQ_URL must be amqp:/],
  ["RABBITMQ_DELAY", "plugin", /RABBITMQ_DELAY is set, but RABBITMQ_URL is not/],
])("%s=%s is refused in one sentence, before anything is made", async (name, value, expected) => {
  const dataDir = newFolder();
  const said = await refusal({ DATA_DIR: dataDir, [name]: value });
  expect(said).toMatch(expected);
  expect(said.split("\n")).toHaveLength(1);
  expect(existsSync(dataDir)).toBe(false);
});

test("a DATABASE_URL that nobody answers is told", async () => {
  const { PORT: unused } = await freePorts();
  const url = `postgres://me:secret@127.0.0.1:${unused}/postgres`;
  const said = await refusal({ DATA_DIR: newFolder(), DATABASE_URL: url });
  expect(said).toContain("The database that DATABASE_URL names must answer");
  expect(said).not.toContain("secret");
});

test("a data folder that is a file, and one that is damaged, are named and left as they are", async () => {
  const file = newFolder();
  writeFileSync(file, "mine");
  expect(await refusal({ DATA_DIR: file })).toContain("is, or lies below, a file");

  const damaged = newFolder();
  expect(Bun.spawnSync(["cp", "-a", used, damaged]).success).toBe(true);
  rmSync(join(damaged, "postgres/global/pg_control"));
  const said = await refusal({ DATA_DIR: damaged });
  expect(said).toContain("is damaged");
  expect(said).toContain("bring a backup back");
  expect(postgresOf(damaged)).toBeUndefined();

  cpSync(join(used, "postgres/global/pg_control"), join(damaged, "postgres/global/pg_control"));
  writeFileSync(join(damaged, "secrets.json"), "{ half of");
  expect(await refusal({ DATA_DIR: damaged })).toContain("secrets.json is not readable as JSON");
  expect(postgresOf(damaged)).toBeUndefined();
  cpSync(join(used, "secrets.json"), join(damaged, "secrets.json"));
  await open({ DATA_DIR: damaged });
});

test.skipIf(!canMount())("a full disk is told, and everything is there once there is room (needs mount)", async () => {
  const dataDir = newFolder();
  mkdirSync(dataDir);
  const resize = (options: string) =>
    expect(Bun.spawnSync(["mount", "-t", "tmpfs", "-o", options, "tmpfs", dataDir]).success).toBe(true);
  resize("size=80m"); // room for PostgreSQL, not for the services' databases
  try {
    expect(await refusal({ DATA_DIR: dataDir })).toMatch(/The disk that holds .* is full: make room/);
    expect(postgresOf(dataDir)).toBeUndefined();

    resize("remount,size=400m");
    const first = await open({ DATA_DIR: dataDir });
    const orderId = await placeOrder(first.env);
    first.program.signal("SIGINT");
    await ended(first.program);

    fill(dataDir);
    expect(await refusal({ DATA_DIR: dataDir })).toMatch(/The disk that holds .* is full: make room/);
    expect(postgresOf(dataDir)).toBeUndefined();

    rmSync(join(dataDir, "filler"));
    const second = await open({ DATA_DIR: dataDir });
    expect((await findOrder(second.env, orderId))?.orderId).toBe(orderId);
    second.program.signal("SIGINT");
    await ended(second.program);
  } finally {
    Bun.spawnSync(["umount", "-l", dataDir]);
  }
});

async function begin(settings: Environment & { DATA_DIR: string }): Promise<{ program: Program; env: Environment }> {
  const admin = { ADMIN_EMAIL: ADMIN.email, ADMIN_PASSWORD: ADMIN.password };
  const env = { ...(await freePorts()), ...admin, RATE_LIMITS: "off", ...settings };
  const program = startProgram(env, join(root, "log"));
  started.push({ program, dataDir: settings.DATA_DIR });
  return { program, env };
}

async function open(settings: Environment & { DATA_DIR: string }): Promise<{ program: Program; env: Environment }> {
  const begun = await begin(settings);
  await begun.program.open();
  return begun;
}

/** What it says when it does not start. `bun dev` itself adds a line before and one after. */
async function refusal(settings: Environment & { DATA_DIR: string }): Promise<string> {
  const { program } = await begin(settings);
  const code = await program.exited;
  const lines = program
    .said()
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("$ bun ") && !/^error: script "dev" exited/.test(line));
  expect(code).not.toBe(0);
  expect(program.said()).not.toContain("Bodega is open");
  expect(stackLines(program.said())).toEqual([]);
  return lines.join("\n");
}

function stackLines(said: string): string[] {
  return said.split("\n").filter((line) => /^\s+at |^\d+ \| /.test(line));
}

async function ended(program: Program): Promise<number> {
  const late = Bun.sleep(CLOSE_MS_MAX).then(() => {
    throw new Error(`still running ${CLOSE_MS_MAX} ms after Ctrl-C:\n${program.said()}`);
  });
  return Promise.race([program.exited, late]);
}

function newFolder(): string {
  return join(root, `folder-${folders++}`);
}

const clientOf = (env: Environment) => createClient(`http://127.0.0.1:${env["PORT"]}`, createDice(1));

async function login(env: Environment): Promise<string> {
  const call = { method: "POST", path: "/v1/sessions", body: ADMIN } as const;
  return (await must(clientOf(env).ask(LoginResponseSchema, call))).accessToken;
}

/** The admin orders a mug of the demo. */
async function placeOrder(env: Environment): Promise<string> {
  const token = await login(env);
  const list = { method: "GET", path: "/v1/products?query=DEMO-MUG" } as const;
  const { products } = await must(clientOf(env).ask(ListProductsResponseSchema, list));
  const body = { requestId: crypto.randomUUID(), lines: [{ productId: products[0]?.productId ?? "", quantity: 1 }] };
  const call = { method: "POST", path: "/v1/orders", token, body } as const;
  let answer = await clientOf(env).ask(PlaceOrderResponseSchema, call);
  // On a first start the order service may not have heard of the demo yet.
  for (; !answer.ok && answer.reason === "INVALID_ARGUMENT"; await Bun.sleep(50))
    answer = await clientOf(env).ask(PlaceOrderResponseSchema, call);
  return (await must(Promise.resolve(answer))).order?.orderId ?? "";
}

async function findOrder(env: Environment, orderId: string) {
  const call = { method: "GET", path: `/v1/orders/${orderId}`, token: await login(env) } as const;
  return (await must(clientOf(env).ask(GetOrderResponseSchema, call))).order;
}
