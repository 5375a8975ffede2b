import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { ReadWebhook } from "../../packages/api/jobs.ts";
import { isOutage, isTooSlow } from "../../packages/database/database.ts";
import type { App } from "../../packages/service/app.ts";
import { reasonOf, refused } from "../../packages/service/errors.ts";
import { PAGE_BYTES_MAX } from "../../packages/service/outside.ts";
import { basePathOf } from "../../packages/service/variables.ts";
import { tooLarge } from "../../packages/service/wire/body.ts";
import { asConnectError, problemResponse, withStatus } from "../../packages/service/wire/problem.ts";
import { contextIn, currentContext, withContext } from "../../packages/telemetry/context.ts";
import { isUuid } from "../../packages/time/ids.ts";
import type { PaymentConfig } from "./config.ts";
import { decideCheckout, findCheckout } from "./provider/embedded.ts";
import { ClosedPage, NoticePage, PayPage, ResultPage, ReturnPage } from "./provider/pay-page.tsx";
import type { Outcome } from "./provider/provider.ts";
import { findPayment } from "./store.ts";

const OUTAGE_RETRY_MS = 1_000;

/** What payment serves to browsers and providers beside its RPCs: /pay/{payment_id} and /webhooks/{provider}. */
export function paymentRoutes(app: App<PaymentConfig>): Hono {
  const provider = app.config.provider(app);
  const routes = new Hono();
  routes.use((ctx, next) => {
    const context = currentContext() ?? contextIn(ctx.req.raw.headers);
    return withContext(context, next);
  });
  routes.use(
    bodyLimit({
      maxSize: PAGE_BYTES_MAX,
      onError: () => problem(withStatus(413, tooLarge(PAGE_BYTES_MAX))),
    }),
  );
  routes.post(`/webhooks/${provider.name}`, (ctx) => takeWebhook(app, ctx));
  if (provider.name === "embedded") {
    routes.get("/pay/:payment_id", (ctx) => showCheckout(app, ctx));
    routes.post("/pay/:payment_id", (ctx) => playProvider(app, ctx));
  } else routes.get("/pay/:payment_id", (ctx) => showPayment(app, ctx));
  routes.notFound((ctx) => problem(refused(Code.NotFound, "NOT_FOUND", `there is nothing at ${ctx.req.path}`)));
  routes.onError((error) => failed(app, error));
  return routes;
}

/** Verified over the raw bytes and kept as it came. Understanding it is a job's work, so that nothing in it can make us lose it. */
async function takeWebhook(app: App<PaymentConfig>, ctx: Context): Promise<Response> {
  const provider = app.config.provider(app);
  const body = new Uint8Array(await ctx.req.arrayBuffer());
  await provider.verifyWebhook(body, ctx.req.raw.headers);
  const webhookId = app.random.id();
  await app.record((tx) => {
    const receivedAt = timestampFromDate(app.clock.now());
    tx.enqueue(ReadWebhook, { webhookId, provider: provider.name, body, receivedAt });
  });
  app.log.info("webhook.received", { webhook_id: webhookId, provider: provider.name, bytes: body.length });
  return ctx.json({ received: true });
}

async function showCheckout(app: App<PaymentConfig>, ctx: Context): Promise<Response> {
  const checkout = await checkoutAt(app, ctx);
  if (!checkout) return noCheckout();
  if (checkout.outcome === "captured") return page(200, ResultPage({ checkout, base: baseOf(app) }));
  return page(200, checkout.closed_at ? ClosedPage({ checkout }) : PayPage({ checkout, base: baseOf(app) }));
}

function baseOf({ config }: App<PaymentConfig>): string {
  return basePathOf(config.publicUrl);
}

/** Where a provider with pages of its own sends its customers back to. */
async function showPayment(app: App<PaymentConfig>, ctx: Context): Promise<Response> {
  const paymentId = ctx.req.param("payment_id") ?? "";
  const payment = isUuid(paymentId) ? await findPayment(app.sql, null, paymentId) : undefined;
  return payment ? page(200, ReturnPage({ payment })) : noCheckout();
}

const OUTCOMES: Record<string, Outcome> = {
  succeeded: "captured",
  declined: "declined",
  abandoned: "abandoned",
};

async function playProvider(app: App<PaymentConfig>, ctx: Context): Promise<Response> {
  if (!(await checkoutAt(app, ctx))) return noCheckout();
  const { outcome } = await ctx.req.parseBody();
  const kind = typeof outcome === "string" && Object.hasOwn(OUTCOMES, outcome) ? OUTCOMES[outcome] : undefined;
  if (!kind)
    return page(
      400,
      NoticePage({ title: "Not understood", text: "outcome must be succeeded, declined or abandoned." }),
    );
  const checkout = await decideCheckout(app, ctx.req.param("payment_id") ?? "", kind);
  return checkout ? page(200, ResultPage({ checkout, base: baseOf(app) })) : noCheckout();
}

async function checkoutAt(app: App<PaymentConfig>, ctx: Context) {
  const paymentId = ctx.req.param("payment_id") ?? "";
  return isUuid(paymentId) ? findCheckout(app, paymentId) : undefined;
}

function noCheckout(): Response {
  return page(404, NoticePage({ title: "No such payment", text: "This link does not lead to a payment." }));
}

const PAGE_HEADERS = {
  "content-type": "text/html; charset=utf-8",
  "cache-control": "no-store",
  "content-security-policy":
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

function page(status: number, content: { toString(): string | Promise<string> }): Response {
  return new Response(`<!doctype html>${content}`, { status, headers: PAGE_HEADERS });
}

function failed(app: App<PaymentConfig>, error: unknown): Response {
  if (error instanceof ConnectError && error.code === Code.InvalidArgument) {
    app.log.warn("webhook.refused", { reason: reasonOf(error), message: error.rawMessage });
    return problem(error);
  }
  app.log.error("payment.http_failed", error);
  // The provider, or the customer, comes back.
  if (isOutage(error) || isTooSlow(error))
    return problem(
      refused(Code.Unavailable, "UNAVAILABLE", "a part of the platform cannot be reached right now", OUTAGE_RETRY_MS),
    );
  return problem(error);
}

function problem(error: unknown): Response {
  const context = currentContext() ?? contextIn(new Headers());
  return problemResponse(asConnectError(error, context), context);
}
