// The commands of who runs the shop, and the kitchen's, as processes against an open shop whose staff is a person.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { openDatabase } from "../../../packages/database/database.ts";
import { postgresIn } from "../../../scripts/copy/postgres.ts";
import { type CommandLine, openCommandLine } from "../../../tests/kit/command-line.ts";
import { eventually } from "../../../tests/kit/eventually.ts";
import { Exit } from "../exit.ts";

setDefaultTimeout(180_000);

let shop: CommandLine;
let orderId: string;
beforeAll(async () => {
  shop = await openCommandLine({ KITCHEN_STAFF: "off" });
  await shop.bodega("points", "grant", "admin@bodega.test", "5000");
  const placed = (await shop.json("orders", "place", "burger")) as { order: { orderId: string } };
  orderId = placed.order.orderId;
  await shop.bodega("orders", "pay", orderId, "--points");
});
afterAll(() => shop.close());

const ended = async (...words: string[]) => {
  const { code, out } = await shop.bodega(...words);
  return [code, out];
};
const done = (said: string | RegExp) => [Exit.DONE, expect.stringMatching(said)];

test("kitchen: a ticket is accepted, ready, handed over, and moves in no other order", async () => {
  await eventually(async () => (await shop.bodega("kitchen", "list", "--order", orderId)).out.includes("QUEUED"));
  const { tickets } = (await shop.json("kitchen", "list")) as { tickets: { ticketId: string }[] };
  const ticketId = tickets[0]?.ticketId ?? "";
  const early = await shop.bodega("kitchen", "ready", ticketId);
  expect(early).toMatchObject({ code: Exit.REFUSED, out: "", err: expect.stringContaining("ILLEGAL_MOVE") });
  expect(await ended("kitchen", "accept", ticketId)).toEqual(done(/ACCEPTED +1 Bodega burger/));
  expect(await ended("kitchen", "ready", ticketId)).toEqual(done("READY"));
  expect(await ended("kitchen", "hand-over", ticketId)).toEqual(done("HANDED_OVER"));
  expect(await ended("orders", "watch", orderId)).toEqual(done("COMPLETED"));
});

test("activity: today's counts and money, and days that are none", async () => {
  await eventually(async () => (await shop.bodega("activity")).out.includes("order.completed"));
  expect(await ended("activity", "--hourly")).toEqual(done(/PAID_IN_POINTS +EUR 11\.50 +1[\s\S]*HOUR/));
  const wrong = await shop.bodega("activity", "yesterday");
  expect(wrong).toMatchObject({ code: Exit.USAGE, err: expect.stringContaining("date: ") });
  expect(await shop.json("activity", "2020-01-31", "--time-zone", "Europe/Berlin")).toMatchObject({
    date: "2020-01-31",
    timeZone: "Europe/Berlin",
    counts: [],
  });
});

test("events: listed, told as they are recorded, and verified", async () => {
  expect(await ended("events", "list", "--type", "order.created")).toEqual(done(orderId));
  const tail = await shop.bodega("--json", "events", "tail", "--after", "0", "--count", "3");
  const sequences = tail.out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line).sequence);
  expect([tail.code, sequences]).toEqual([Exit.DONE, ["1", "2", "3"]]);
  expect(await ended("events", "verify")).toEqual(done("each as it was recorded"));
  expect(await shop.json("events", "verify")).toMatchObject({ intact: true, problems: [] });
  expect((await shop.bodega("events", "tail", "--after", "x")).err).toContain("after: expected a whole number");
});

test("mails: what was sent, and to whom", async () => {
  expect(await ended("mails", "--status", "sent")).toEqual(done(/SENT +1 +order_received +admin@bodega\.test/));
  expect((await shop.bodega("mails", "--status", "lost")).code).toBe(Exit.USAGE);
});

test("parked: listed, shown, replayed, discarded; nothing in it reaches the terminal", async () => {
  await tellPoison();
  const parked = async () => ((await shop.json("parked", "list", "--service", "stock")) as { parked: Parked[] }).parked;
  await eventually(async () => (await parked()).length === 1);
  const [{ parkedId } = { parkedId: "" }] = await parked();
  const shown = await shop.bodega("parked", "show", parkedId);
  expect(shown.out).toContain("Next: bodega parked replay");
  expect(shown.out).toContain("\\u001b[2Jevil");
  expect(shown.out).not.toMatch(/(?!\n)\p{Cc}/u);
  expect((await shop.bodega("backlog")).out).toMatch(/^stock +0 .* 1$/m);
  expect((await shop.bodega("doctor")).code).toBe(Exit.NOT_IN_ORDER);

  expect(await ended("parked", "replay", parkedId, "--service", "stock")).toEqual(done("stock tries 1 again"));
  await eventually(async () => (await parked()).length === 1);
  const [again] = await parked();
  expect((await shop.bodega("parked", "discard", again?.parkedId ?? "")).err).toContain("--reason");
  expect(await ended("parked", "discard", again?.parkedId ?? "", "--reason", "a test")).toEqual(
    done(/^stock has given 1 up\.$/m),
  );
  expect((await shop.json("parked", "list")) as object).toMatchObject({ parked: [] });
  expect(await shop.bodega("parked", "show", parkedId)).toMatchObject({ code: Exit.NOT_FOUND, out: "" });
});

interface Parked {
  parkedId: string;
}

/** A fact whose body is none, under a key that would clear the screen. */
async function tellPoison() {
  const url = postgresIn(shop.env["DATA_DIR"] ?? "").urlOf("bodega_order");
  const db = openDatabase(url, "test");
  await db.sql`insert into outbox (id, aggregatetype, aggregateid, type, payload, time, traceparent, request_id)
    values (${crypto.randomUUID()}, 'order', ${"\u001b[2Jevil"}, 'order.paid', ${Buffer.from("poison")}, now(), '', '')`;
  await db.close();
}

test("canary: a sum, the totals, and numbers that are none", async () => {
  expect(await ended("canary", "20", "22")).toEqual(done(/^42, says /));
  await eventually(async () => (await shop.bodega("canary")).code === Exit.DONE);
  expect(await shop.json("canary")).toMatchObject({ acknowledged: "1", delivered: "1", missing: "0" });
  const beyond = await shop.bodega("canary", "9223372036854775807", "1");
  expect(beyond).toMatchObject({ code: Exit.REFUSED, err: expect.stringContaining("SUM_OUT_OF_RANGE") });
});

test("ls: users with points, products, orders", async () => {
  const { out } = await shop.bodega("ls");
  for (const each of ["admin@bodega.test", "Bodega burger", orderId]) expect(out).toContain(each);
  expect(Object.keys((await shop.json("ls")) as object)).toEqual(["users", "points", "products", "orders"]);
});

test("svc-info: who answered how often", async () => {
  expect(await ended("svc-info", "order", "--times", "3")).toEqual(done(/^order .* 3 of 3$/m));
  expect((await shop.bodega("svc-info", "nothing")).code).toBe(Exit.NOT_FOUND);
});

test("doctor: everything is in order, and what cannot be reached is named with what to do", async () => {
  await eventually(async () => (await shop.bodega("doctor")).code === Exit.DONE);
  const closed = await shop.with({ env: { OPS_PORT: "1" } })("doctor");
  expect(closed.code).toBe(Exit.NOT_IN_ORDER);
  expect(closed.out).toMatch(/^operations +NOT OK/m);
  expect(closed.out).toContain("operations: set OPS_PORT as the shop has it");
  const strangers = await shop.with({ env: { XDG_CONFIG_HOME: `${shop.env["DATA_DIR"]}/nobody` } })("doctor");
  expect(strangers.out.match(/log in: bodega login EMAIL/g)).toHaveLength(1);
  expect(strangers.out).toMatch(/^session; versions; .*books of points: log in/m);
  const nobody = await shop.bodega("--url", "http://127.0.0.1:1", "canary", "1");
  expect(nobody).toMatchObject({ code: Exit.TRY_LATER, err: expect.stringContaining("bun dev starts one") });
});

test("doctor: a slot that nobody reads is named with what is kept for it, and with the command that drops it", async () => {
  const db = openDatabase(postgresIn(shop.env["DATA_DIR"] ?? "").urlOf("bodega_order"), "test");
  await db.sql`select pg_create_logical_replication_slot('forgotten', 'pgoutput')`;
  const { code, out } = await shop.bodega("doctor");
  expect(code).toBe(Exit.NOT_IN_ORDER);
  expect(out).toMatch(/^slots +NOT OK +1 slot, .*\n +slot forgotten is not active: the server keeps /m);
  expect(out).toContain("select pg_drop_replication_slot('forgotten')");
  expect((await shop.bodega("--json", "doctor")).out).toContain('"slot":"forgotten"');
  await db.sql`select pg_drop_replication_slot('forgotten')`;
  await db.close();
  await eventually(async () => (await shop.bodega("doctor")).code === Exit.DONE);
});

test("doctor: each part of the port for operators that is in trouble or silent is told with its fix", async () => {
  const url = `http://127.0.0.1:${shop.env["OPS_PORT"]}/health`;
  const well = (await (await fetch(url)).json()) as { parts: object };
  expect(Object.keys(well.parts)).toEqual(["postgresql", "slots", "events", "jobs", "locks", "disk"]);
  expect(JSON.stringify(well)).not.toMatch(/postgres(ql)?:\/\/|password/i);
  const trouble = (says: string, fix: string) => ({
    state: "trouble",
    found: "as planted",
    figures: {},
    troubles: [{ says, fix }],
  });
  const parts = {
    ...well.parts,
    events: { state: "silent", found: "Kafka gave no answer", figures: {}, troubles: [] },
    jobs: trouble("queue mail has no consumers", "start a process of mail"),
    disk: trouble("less than 1 GiB is free", "make room"),
  };
  const ill = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => Response.json({ ...well, parts }) });
  const { code, out } = await shop.with({ env: { OPS_PORT: String(ill.port) } })("doctor");
  await ill.stop();
  expect(code).toBe(Exit.NOT_IN_ORDER);
  expect(out).toMatch(/^slots +ok/m);
  for (const line of [
    /^events +NOT OK +Kafka gave no answer$/m,
    /^jobs +NOT OK +as planted\n +queue mail has no consumers$/m,
    /^jobs: start a process of mail$/m,
    /^events: is its server up/m,
    /^disk: make room$/m,
  ])
    expect(out).toMatch(line);
});

test("a file of products is imported, and its bad rows are named", async () => {
  const file = `${shop.env["DATA_DIR"]}/menu.csv`;
  await Bun.write(file, "sku,name,price,currency\ntea,Tea,2.50,EUR\ncake,Cake,dear,EUR\n");
  const { code, out } = await shop.bodega("products", "import", file);
  expect([code, out]).toEqual([
    Exit.NOT_IN_ORDER,
    expect.stringMatching(/DONE: 1 new, .* 1 refused[\s\S]*^ +3 +price/m),
  ]);
  expect((await shop.bodega("products", "import", "menu.txt")).err).toContain("file: expected one that ends with .csv");
});
