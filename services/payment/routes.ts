import { Code, ConnectError } from "@connectrpc/connect";
import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { ApplyProviderEvent } from "../../packages/api/jobs.ts";
import { isOutage } from "../../packages/database/database.ts";
import { isUuid } from "../../packages/database/ids.ts";
import type { App } from "../../packages/service/app.ts";
import { reasonOf } from "../../packages/service/errors.ts";
import { contextIn, currentContext, withContext } from "../../packages/telemetry/context.ts";
import type { PaymentConfig } from "./config.ts";
import { decideCheckout, findCheckout } from "./embedded.ts";
import { NoticePage, PayPage, ResultPage } from "./pay-page.tsx";
import type { ProviderEvent } from "./provider.ts";
import { insertEvent } from "./store.ts";

const BODY_BYTES_MAX = 64 * 1024;
const OUTAGE_RETRY_S = 1;

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
      maxSize: BODY_BYTES_MAX,
      onError: () => problem(413, "BODY_TOO_LARGE", `expected at most ${BODY_BYTES_MAX} bytes`),
    }),
  );
  routes.post(`/webhooks/${provider.name}`, (ctx) => takeWebhook(app, ctx));
  if (provider.name === "embedded") {
    routes.get("/pay/:payment_id", (ctx) => showCheckout(app, ctx));
    routes.post("/pay/:payment_id", (ctx) => playProvider(app, ctx));
  }
  routes.notFound((ctx) => problem(404, "NOT_FOUND", `there is nothing at ${ctx.req.path}`));
  routes.onError((error) => failed(app, error));
  return routes;
}

/** Verified over the raw bytes, stored as it came, and only then looked at: by a job of the same commit. */
async function takeWebhook(app: App<PaymentConfig>, ctx: Context): Promise<Response> {
  const provider = app.config.provider(app);
  const body = new Uint8Array(await ctx.req.arrayBuffer());
  const event = await provider.parseWebhook(body, ctx.req.raw.headers);
  if (!event) return ctx.json({ received: true });
  await app.transact(async (tx) => {
    const fresh = await insertEvent(tx.sql, provider.name, event, body, app.clock.now());
    if (fresh)
      tx.enqueue(ApplyProviderEvent, { provider: provider.name, eventId: event.eventId, paymentId: event.paymentId });
    app.log.info("webhook.received", {
      event_id: event.eventId,
      kind: event.kind,
      payment_id: event.paymentId,
      duplicate: !fresh,
    });
  });
  return ctx.json({ received: true });
}

async function showCheckout(app: App<PaymentConfig>, ctx: Context): Promise<Response> {
  const checkout = await checkoutAt(app, ctx);
  if (!checkout) return noCheckout();
  return page(200, checkout.outcome === "captured" ? ResultPage({ checkout }) : PayPage({ checkout }));
}

const OUTCOMES: Record<string, ProviderEvent["kind"]> = {
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
  return checkout ? page(200, ResultPage({ checkout })) : noCheckout();
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
    return problem(400, reasonOf(error) ?? "INVALID_ARGUMENT", error.rawMessage);
  }
  app.log.error("payment.http_failed", error);
  // The provider, or the customer, comes back.
  if (isOutage(error))
    return problem(503, "UNAVAILABLE", "a part of the platform cannot be reached right now", {
      "retry-after": `${OUTAGE_RETRY_S}`,
    });
  return problem(500, "INTERNAL", `something went wrong here; trace ${currentContext()?.traceId ?? "unknown"}`);
}

function problem(status: number, reason: string, detail: string, headers: Record<string, string> = {}): Response {
  return Response.json(
    { type: "about:blank", status, title: reason, reason, detail },
    { status, headers: { "content-type": "application/problem+json", ...headers } },
  );
}
