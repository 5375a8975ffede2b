// People and things for tests at the edge, all made through it: users who registered and logged in, and something of everything they can ask for.

import { randomUUID } from "node:crypto";
import type { JsonObject } from "@bufbuild/protobuf";
import { OrderCreated } from "../../packages/api/facts.ts";
import { codeIn } from "../../scripts/copy/mails.ts";
import { playProvider } from "../kit/customers.ts";
import { bearer, type LiveEdge, member, send } from "../kit/live-edge.ts";
import { factMessage } from "../kit/messages.ts";
import type { System } from "../kit/system.ts";

const PASSWORD = "a long enough password";
const LOGIN_OVER_MS = 11 * 60_000;

export type Caller = "anonymous" | "owner" | "other" | "kitchen" | "admin" | "expired" | "garbage" | "tampered";

export interface Shop {
  /** Access tokens. */
  tokens: Record<Exclude<Caller, "anonymous">, string>;
  users: { owner: string; other: string; kitchen: string };
  refreshToken: string;
  productId: string;
  /** For archiving. */
  oldProductId: string;
  /** Collections that are menus; the second for removing. */
  menu: string;
  oldMenu: string;
  /** An import whose next part is waited for. */
  importId: string;
  /** The owner's orders: reserved and unpaid, paid, and one to be cancelled. */
  orderId: string;
  paidOrderId: string;
  doomedOrderId: string;
  othersOrderId: string;
  paymentId: string;
  /** Tickets that wait for each move. */
  tickets: { queued: string; accepted: string; ready: string };
  mailId: string;
  parked: { toReplay: string; toDiscard: string };
  /** An id of no thing at all. */
  nobodys: string;
  fresh(): string;
  /** Asks as the admin, over Connect. */
  ask(rpc: string, request: JsonObject): Promise<unknown>;
}

export async function openShop(system: System, edge: LiveEdge): Promise<Shop> {
  const fresh = () => randomUUID();
  const adminLogin = { email: "admin@bodega.test", password: "correct horse battery" };
  const [owner, other, kitchen] = await Promise.all([
    register(system, edge, "owner"),
    register(system, edge, "other"),
    register(system, edge, "kitchen"),
  ]);
  const roles = ["ROLE_KITCHEN"];
  await call(edge, (await login(edge, adminLogin)).accessToken, "auth.v1.AuthService/SetRoles", {
    userId: kitchen.userId,
    roles,
  });
  const { accessToken: expired } = await login(edge, owner);
  system.clock.advance(LOGIN_OVER_MS);
  const { accessToken: ownerToken, refreshToken } = await login(edge, owner);
  const tokens = {
    owner: ownerToken,
    other: (await login(edge, other)).accessToken,
    kitchen: (await login(edge, kitchen)).accessToken,
    admin: (await login(edge, adminLogin)).accessToken,
    expired,
    garbage: `${"Z".repeat(20)}.${"Z".repeat(40)}.${"Z".repeat(60)}`,
    tampered: withRoles(ownerToken, ["ROLE_ADMIN", "ROLE_CUSTOMER"]),
  };
  const ask = (rpc: string, request: JsonObject) => call(edge, tokens.admin, rpc, request);

  const product = async (sku: string) => {
    const price = { currencyCode: "EUR", minorUnits: "450" };
    const request = { requestId: sku, sku, name: sku, price, prepared: true, initialStock: 1_000_000 };
    return id(await ask("product.v1.ProductService/CreateProduct", request), "product", "productId");
  };
  const productId = await product("burger");
  const oldProductId = await product("last-year");
  for (const collection of ["lunch menu", "last year's"])
    await ask("product.v1.ProductService/SetMenu", { collection, title: collection, timeZone: "UTC" });
  const part = { requestId: fresh(), format: "IMPORT_FORMAT_CSV", content: "YQ==", more: true };
  const importId = id(await ask("product.v1.ProductService/ImportProducts", part), "import", "importId");
  await system.settle();

  const place = async (token: string) => {
    const request = { requestId: fresh(), lines: [{ productId, quantity: 1 }] };
    return id(await call(edge, token, "order.v1.OrderService/PlaceOrder", request), "order", "orderId");
  };
  const [orderId, doomedOrderId, paidOrderId, secondId, thirdId, othersOrderId] = [
    await place(tokens.owner),
    await place(tokens.owner),
    await place(tokens.owner),
    await place(tokens.owner),
    await place(tokens.owner),
    await place(tokens.other),
  ];
  await system.settle();
  const pay = async (token: string, paid: string) => {
    const reply = await call(edge, token, "payment.v1.PaymentService/StartPayment", { orderId: paid });
    const paymentId = id(reply, "payment", "paymentId");
    await playProvider(system, paymentId, "succeeded");
    return paymentId;
  };
  const paymentId = await pay(tokens.owner, paidOrderId);
  await pay(tokens.owner, secondId);
  await pay(tokens.owner, thirdId);
  await pay(tokens.other, othersOrderId);
  await system.settle();

  const ticketOf = async (paid: string) =>
    id(await ask("kitchen.v1.KitchenService/ListTickets", { orderId: paid }), "tickets", "0", "ticketId");
  const move = async (rpc: string, ticketId: string) => {
    await ask(`kitchen.v1.KitchenService/${rpc}`, { ticketId });
    return ticketId;
  };
  const queued = await ticketOf(paidOrderId);
  const accepted = await move("AcceptTicket", await ticketOf(secondId));
  const ready = await move("MarkReady", await move("AcceptTicket", await ticketOf(thirdId)));

  await system.platform.events.publish(
    ["poison-1", "poison-2"].map((name) => ({
      ...factMessage(system, OrderCreated, {}),
      key: fresh(),
      body: Buffer.from(name),
    })),
  );
  await system.settle();
  const parked = await ask("ops.v1.OpsService/ListParked", { service: "stock" });
  const mails = await ask("mail.v1.MailService/ListMails", { orderId });
  return {
    tokens,
    users: { owner: owner.userId, other: other.userId, kitchen: kitchen.userId },
    refreshToken,
    productId,
    oldProductId,
    menu: "lunch menu",
    oldMenu: "last year's",
    importId,
    orderId,
    paidOrderId,
    doomedOrderId,
    othersOrderId,
    paymentId,
    tickets: { queued, accepted, ready },
    mailId: id(mails, "mails", "0", "mailId"),
    parked: { toReplay: id(parked, "parked", "0", "parkedId"), toDiscard: id(parked, "parked", "1", "parkedId") },
    nobodys: "01890000-0000-7000-8000-00000000dead",
    fresh,
    ask,
  };
}

interface Login {
  email: string;
  password: string;
}

/** Registers, reads the mailed code and verifies, as people do. */
async function register(system: System, edge: LiveEdge, name: string): Promise<Login & { userId: string }> {
  const user = { email: `${name}-${randomUUID()}@bodega.test`, password: PASSWORD };
  await call(edge, undefined, "auth.v1.AuthService/Register", { ...user, displayName: name });
  await system.settle();
  const [mail] = await system.app("mail").sql<
    { data: string }[]
  >`select data from caught_mails where data like ${`%${user.email}%`} order by position desc limit 1`;
  const code = codeIn(mail?.data ?? "") ?? "";
  await call(edge, undefined, "auth.v1.AuthService/VerifyEmail", { email: user.email, code });
  const { accessToken } = await login(edge, user);
  const userId = id(await call(edge, accessToken, "auth.v1.AuthService/GetMe", {}), "user", "userId");
  return { ...user, userId };
}

async function login(edge: LiveEdge, { email, password }: Login) {
  const reply = await call(edge, undefined, "auth.v1.AuthService/Login", { email, password });
  return { accessToken: id(reply, "accessToken"), refreshToken: id(reply, "refreshToken") };
}

/** The same signature over more roles. */
function withRoles(token: string, roles: string[]): string {
  const [head, payload = "", signature] = token.split(".");
  const claims = { ...JSON.parse(Buffer.from(payload, "base64url").toString()), roles };
  return [head, Buffer.from(JSON.stringify(claims)).toString("base64url"), signature].join(".");
}

async function call(edge: LiveEdge, token: string | undefined, rpc: string, request: JsonObject): Promise<unknown> {
  const headers = { "content-type": "application/json", ...bearer(token) };
  const answer = await send(`${edge.url}/bodega.${rpc}`, { method: "POST", headers, body: JSON.stringify(request) });
  if (answer.code !== "ok") throw new Error(`${rpc} answered ${answer.status}: ${answer.text}`);
  return answer.body;
}

function id(reply: unknown, ...path: string[]): string {
  const found = path.reduce(member, reply);
  if (typeof found !== "string") throw new Error(`expected ${path.join(".")}, found ${JSON.stringify(reply)}`);
  return found;
}
