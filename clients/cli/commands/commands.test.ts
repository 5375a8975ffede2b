// Every group of commands, as a process against an open shop: what it does, what it refuses, what programs read, how it ends.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { TOTP } from "otpauth";
import { ADMIN, type CommandLine, openCommandLine } from "../../../tests/kit/command-line.ts";
import { eventually } from "../../../tests/kit/eventually.ts";
import { Exit } from "../exit.ts";

setDefaultTimeout(180_000);
const ANN = "ann@bodega.test";
const AS_ANN = ["--as", ANN];

let shop: CommandLine;
beforeAll(async () => {
  shop = await openCommandLine();
  await shop.bodega("users", "create", ANN, "--name", "Ann");
});
afterAll(() => shop.close());

async function placed(...lines: string[]): Promise<string> {
  const { order } = (await shop.json(...AS_ANN, "orders", "place", ...lines)) as { order: { orderId: string } };
  return order.orderId;
}

/** Ends well, and says it. */
async function says(words: string[], said: string | RegExp) {
  const { code, out, err } = await shop.bodega(...words);
  expect({ code, err }).toEqual({ code: Exit.DONE, err: "" });
  expect(out).toMatch(said);
}

/** Ends with this code, names what is wrong and what to do, and prints nothing where answers go. */
async function refuses(words: string[], exit: number, ...said: string[]) {
  const { code, out, err } = await shop.bodega(...words);
  expect({ code, out }).toEqual({ code: exit, out: "" });
  for (const each of said) expect(err).toContain(each);
}

test("login keeps a session that only its owner can read, and logout ends it", async () => {
  const sessions = join(shop.env["XDG_CONFIG_HOME"] ?? "", "bodega", "sessions");
  const [folder = ""] = readdirSync(sessions);
  const files = readdirSync(join(sessions, folder));
  expect(files).toContain(`${encodeURIComponent(ADMIN.email)}.json`);
  for (const file of files) expect(statSync(join(sessions, folder, file)).mode & 0o777).toBe(0o600);
  await says(["whoami"], ADMIN.email);

  await shop.bodega("users", "create", "eve@bodega.test");
  await says(["--as", "eve@bodega.test", "whoami"], "eve@bodega.test");
  await says(["--as", "eve@bodega.test", "logout"], "is logged out");
  await refuses(["--as", "eve@bodega.test", "whoami"], Exit.NOT_ALLOWED, "UNAUTHENTICATED", "bodega login");
});

test("an expired token is refreshed, and one that the shop refuses too", async () => {
  const file = join(shop.env["XDG_CONFIG_HOME"] ?? "", "bodega", "sessions");
  const session = Bun.file(join(file, readdirSync(file)[0] ?? "", `${encodeURIComponent(ANN)}.json`));
  const before = await session.json();
  await session.write(JSON.stringify({ ...before, accessToken: "none", expiresAt: 0 }));
  await says([...AS_ANN, "whoami"], ANN);
  await session.write(JSON.stringify({ ...(await session.json()), accessToken: "refused", expiresAt: 9e15 }));
  await says([...AS_ANN, "whoami"], ANN);
});

test("a wrong password is refused, and one on the command line is not an option", async () => {
  const { code, err } = await shop.with({ env: { BODEGA_PASSWORD: "wrong words here" } })("login", ANN);
  expect([code, err]).toEqual([Exit.NOT_ALLOWED, expect.stringContaining("CREDENTIALS_INVALID")]);
  await refuses(["login", ANN, "--password", "x"], Exit.USAGE, "unknown option '--password'");
  const { err: asked } = await shop.with({ env: { BODEGA_PASSWORD: "" } })("login", ANN);
  expect(asked).toContain("--password-stdin");
});

test("totp: enabled with an app, asked for at the next login, disabled with a code", async () => {
  const email = "tess@bodega.test";
  const [as, cold] = [["--as", email], Exit.USAGE];
  await shop.bodega("users", "create", email);
  const { secret } = (await shop.json(...as, "totp", "enable")) as { secret: string };
  await refuses([...as, "totp", "confirm"], cold, "no terminal to ask at", "BODEGA_CODE");
  const showing = shop.with({ env: { BODEGA_CODE: new TOTP({ secret }).generate() } });
  const { out } = await showing(...as, "--json", "totp", "confirm");
  const { recoveryCodes } = JSON.parse(out) as { recoveryCodes: string[] };
  expect(recoveryCodes).toHaveLength(10);
  await shop.bodega(...as, "logout");
  await refuses(["login", email], cold, "no terminal to ask at", "BODEGA_CODE");
  const wrong = await shop.with({ env: { BODEGA_CODE: "WRONG-CODE" } })("login", email);
  expect([wrong.code, wrong.err]).toEqual([Exit.NOT_ALLOWED, expect.stringContaining("SECOND_FACTOR_INVALID")]);
  const [first = "", second = ""] = recoveryCodes;
  expect((await shop.with({ env: { BODEGA_CODE: first } })("login", email)).out).toContain("Logged in");
  const renewed = await shop.with({ env: { BODEGA_CODE: second } })(...as, "--json", "totp", "recovery-codes");
  const [last = ""] = (JSON.parse(renewed.out) as { recoveryCodes: string[] }).recoveryCodes;
  const disabled = await shop.with({ env: { BODEGA_CODE: last } })(...as, "totp", "disable");
  expect(disabled.out).toContain("no second factor any more");
  const back = await shop.with({ env: { BODEGA_PASSWORD: ADMIN.password } })("login", ADMIN.email);
  expect(back.code).toBe(Exit.DONE);
});

test("users: made once, listed, given roles", async () => {
  await refuses(["users", "create", ANN], Exit.REFUSED, "You have an account already", "bodega login");
  await says(["users", "roles", "Ann", "customer", "kitchen"], "customer, kitchen");
  await refuses(["users", "roles", "Ann", "king"], Exit.USAGE, "roles: expected customer, kitchen, admin, found king");
  await refuses(["users", "roles", "nobody", "admin"], Exit.NOT_FOUND, "there is no user nobody");
  await refuses([...AS_ANN, "users", "list"], Exit.NOT_ALLOWED, "PERMISSION_DENIED", "--as EMAIL");
  const { users } = (await shop.json("users", "list")) as { users: { email: string; roles: string[] }[] };
  expect(users.find(({ email }) => email === ANN)?.roles).toEqual(["ROLE_CUSTOMER", "ROLE_KITCHEN"]);
});

test("products: made, found by their names, with their history", async () => {
  await says(["products", "create", "soup", "4.50", "--stock", "7", "--name", "Soup of the day"], /soup .* EUR 4\.50/);
  await refuses(["products", "create", "soup", "1"], Exit.REFUSED, "SKU_TAKEN", "bodega products list");
  await refuses(["products", "create", "tea", "dear"], Exit.USAGE, "price: expected an amount such as 4.50");
  await refuses(["stock", "show", "e"], Exit.USAGE, "product: e may be");
  await says(["products", "list", "soup"], /^soup +Soup of the day +EUR 4\.50/m);
  await says(["products", "history", "Soup of the day"], "product.created");
  const { products } = (await shop.json("products", "list", "soup")) as { products: object[] };
  expect(products).toMatchObject([{ sku: "soup", price: { currencyCode: "EUR", minorUnits: "450" }, archived: false }]);
});

test("stock: shown, adjusted, reconciled", async () => {
  await shop.bodega("products", "create", "jam", "2", "--stock", "5");
  await eventually(async () => (await shop.bodega("stock", "show", "jam")).code === Exit.DONE);
  await says(["stock", "adjust", "jam", "--reason", "spoilt", "--", "-2"], /^jam +3 +0 +3$/m);
  await refuses(["stock", "adjust", "jam", "5"], Exit.USAGE, "required option '--reason <text>'");
  await refuses(["stock", "adjust", "jam", "--reason", "spoilt", "--", "-9"], Exit.REFUSED, "Next:");
  await says(["stock", "reconcile"], "agree");
  expect(await shop.json("stock", "reconcile")).toMatchObject({ differences: [] });
});

test("an order is placed, paid, cooked, and its story is told", async () => {
  const orderId = await placed("burger=2", "chips");
  await says([...AS_ANN, "orders", "show", orderId], /Bodega burger +2 +EUR 11\.50/);
  const next = `Next: bodega ${AS_ANN.join(" ")} orders pay `;
  await says([...AS_ANN, "orders", "place", "chips"], next);
  await says([...AS_ANN, "orders", "pay", orderId], "Pay EUR 26.90 here: http");
  await says([...AS_ANN, "orders", "pay", orderId, "--outcome", "succeeded"], "The provider was told");
  await says([...AS_ANN, "orders", "watch", orderId], /PAID.*\n.*COMPLETED/);
  await says([...AS_ANN, "orders", "list", "--status", "completed"], orderId);
  await eventually(async () => (await shop.bodega("mails", "--order", orderId)).out.includes("order_completed"));

  const story = (await shop.json("orders", "timeline", orderId)) as { entries: Entry[] };
  expect(story.entries.map(({ at }) => at)).toEqual(story.entries.map(({ at }) => at).sort());
  expect(story.entries.map(({ kind, what }) => `${kind} ${what}`).sort()).toEqual(STORY);
  await says(["orders", "timeline", orderId], /order\.paid +total EUR 26\.90\n/);
  await says(["orders", "timeline", orderId], /NEW to PENDING +PlaceOrder by its customer\n/);
  for (const { afterMs } of story.entries) expect(afterMs).toBeGreaterThanOrEqual(0);
  await refuses(["orders", "timeline", NOBODYS], Exit.NOT_FOUND, "ORDER_NOT_FOUND", "bodega orders list");
});

interface Entry {
  at: string;
  afterMs: number;
  kind: string;
  what: string;
}
const NOBODYS = "01890000-0000-7000-8000-00000000dead";
const STORY = [
  "fact order.completed",
  "fact order.created",
  "fact order.paid",
  "fact points.granted",
  "fact stock.committed",
  "fact stock.reserved",
  "mail order_completed sent",
  "mail order_received sent",
  "mail payment_received sent",
  "move NEW to PENDING",
  "move PAID to COMPLETED",
  "move PENDING to PAID",
  "payment checkout opened",
  "payment payment.captured",
  "ticket ticket.accepted",
  "ticket ticket.handed_over",
  "ticket ticket.queued",
  "ticket ticket.ready",
];

test("orders: one key is one order; cancelled, refunded, refused with the field and the next step", async () => {
  const key = ["--request-id", crypto.randomUUID()];
  const first = await placed("mug", ...key);
  expect(await placed("mug", ...key)).toBe(first);
  await says([...AS_ANN, "orders", "cancel", first], /CANCELLED.*CUSTOMER/);
  await refuses([...AS_ANN, "orders", "pay", first], Exit.REFUSED, "ORDER_NOT_PAYABLE", "bodega orders show");
  await refuses([...AS_ANN, "orders", "place", "mug=0"], Exit.USAGE, "quantity of mug: expected a whole number from 1");
  await refuses(["orders", "show", "nonsense"], Exit.USAGE, "order_id: must be a valid UUID");
  await refuses(["orders", "list", "--status", "lost"], Exit.USAGE, "status: expected pending, paid, completed");

  const paid = await placed("mug");
  await shop.bodega(...AS_ANN, "orders", "pay", paid, "--outcome", "succeeded");
  await eventually(async () => (await shop.bodega("orders", "show", paid)).out.includes("PAID"));
  await says(["orders", "refund", paid, "--reason", "a crack", "--amount", "1.50"], "1.50 of EUR 14.90 goes back");
  await refuses(["orders", "refund", paid, "--reason", "all", "--amount", "99"], Exit.REFUSED, "REFUND_TOO_HIGH");
});

test("points pay for an order, when there are enough", async () => {
  const orderId = await placed("lemonade");
  await refuses([...AS_ANN, "orders", "pay", orderId, "--points"], Exit.REFUSED, "NOT_ENOUGH_POINTS", "points grant");
  await refuses(["points", "grant", "Ann", "many"], Exit.USAGE, "amount: expected a whole number");
  await says(["points", "grant", "Ann", "1000"], /Ann has 1\d{3} points/);
  await says([...AS_ANN, "orders", "pay", orderId, "--points"], "PAID: 420 points");
  expect(await shop.json(...AS_ANN, "points", "show")).toMatchObject({ balance: expect.stringMatching(/^\d+$/) });
});
