import { Code } from "@connectrpc/connect";
import { refused } from "../../packages/service/errors.ts";
import { ADDRESS_HEADER, NETWORK_HEADER, POSITION_HEADER } from "../../packages/service/wire/rpc.ts";
import { type Context, contextFrom, contextHeaders, contextIn } from "../../packages/telemetry/context.ts";
import type { OriginOf } from "./admission/origin.ts";

/** Headers by which proxies and services name a caller or its address. From outside they are nobody's word. */
const FORGED =
  /^(?:x-bodega-|x-forwarded-|x-original-|x-remote-|x-user|x-customer|x-role|x-auth-|x-admin|x-service|x-real-ip$|x-client-ip$|true-client-ip$|forwarded$)/;

/** Headers by lower-case name, as node:http2 has them. */
type Plain = Record<string, string | string[] | undefined>;

/** What is known of a request before it is read. */
export interface Arrival {
  context: Context;
  /** What limits count by. */
  network: string;
  /** A trusted proxy took it over TLS. */
  https: boolean;
}

/** Makes the headers of a request from outside fit for the inside, and says what the request is known by. */
export function admit(headers: Headers, socket: string, originOf: OriginOf): Arrival {
  const { address, network, https } = originOf(socket, (name) => headers.get(name));
  for (const name of [...headers.keys()]) if (FORGED.test(name)) headers.delete(name);
  const context = contextIn(headers);
  for (const [name, value] of ours(context, address, network)) headers.set(name, value);
  return { context, network, https };
}

export function admitPlain(headers: Plain, socket: string, originOf: OriginOf): Context {
  const first = (name: string) => [headers[name]].flat()[0] ?? null;
  const { address, network } = originOf(socket, (name) => [headers[name]].flat().join(",") || null);
  for (const name of Object.keys(headers)) if (FORGED.test(name)) delete headers[name];
  const context = contextFrom(first("x-request-id"), first("traceparent"));
  for (const [name, value] of ours(context, address, network)) headers[name] = value;
  return context;
}

function ours(context: Context, address: string, network: string): [string, string][] {
  return [...Object.entries(contextHeaders(context)), [ADDRESS_HEADER, address], [NETWORK_HEADER, network]];
}

/** RFC 9112 3.2: of two Host headers a proxy may believe one and we the other. They arrive here joined. */
export function checkHost(headers: Headers): void {
  if (headers.get("host")?.includes(","))
    throw refused(Code.InvalidArgument, "INVALID_HOST", "a request has one Host header, found more");
}

const SECURITY: [string, string][] = [
  ["x-content-type-options", "nosniff"],
  ["referrer-policy", "no-referrer"],
  ["content-security-policy", "default-src 'none'; frame-ancestors 'none'"],
];
const HSTS = "max-age=31536000";

/** What every answer carries; a page that knows better keeps its own. No cache keeps what may be one person's. `https` when a trusted proxy took the request over TLS. */
export function secure(headers: Headers, context: Context, https: boolean): void {
  headers.set("x-request-id", context.correlationId);
  if (!headers.has("cache-control")) headers.set("cache-control", "no-store");
  for (const [name, value] of SECURITY) if (!headers.has(name)) headers.set(name, value);
  if (https) headers.set("strict-transport-security", HSTS);
}

const ALLOWED_HEADERS = [
  ...["authorization", "content-type", "content-encoding", "accept-encoding", "idempotency-key"],
  ...["x-request-id", "traceparent", "tracestate", POSITION_HEADER],
  ...["connect-protocol-version", "connect-timeout-ms", "connect-accept-encoding", "connect-content-encoding"],
  ...["grpc-timeout", "grpc-accept-encoding", "grpc-encoding", "x-grpc-web", "x-user-agent"],
].join(", ");
const EXPOSED_HEADERS = [
  ...["x-request-id", POSITION_HEADER, "retry-after", "ratelimit", "ratelimit-policy"],
  ...["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"],
  ...["grpc-status", "grpc-message", "grpc-status-details-bin", "content-encoding", "connect-content-encoding"],
].join(", ");
const PREFLIGHT_SECONDS = 7_200;

export interface Cors {
  /** The answer to a browser that asks before it calls; undefined for any other request. */
  preflight(req: Request): Response | undefined;
  /** Lets the page of an allowed origin read an answer. */
  expose(headers: Headers, origin: string | null): void;
}

export function createCors(origins: string[]): Cors {
  const everyone = origins.includes("*");
  const allowed = (origin: string) => (everyone ? "*" : origins.includes(origin) ? origin : undefined);
  function expose(headers: Headers, origin: string | null) {
    if (!everyone) headers.append("vary", "Origin");
    const allow = origin === null ? undefined : allowed(origin);
    if (!allow) return;
    headers.set("access-control-allow-origin", allow);
    headers.set("access-control-expose-headers", EXPOSED_HEADERS);
  }
  return {
    expose,
    preflight(req) {
      if (req.method !== "OPTIONS" || !req.headers.has("access-control-request-method")) return undefined;
      const headers = new Headers();
      if (allowed(req.headers.get("origin") ?? "")) {
        headers.set("access-control-allow-methods", "GET, POST, PATCH, DELETE");
        headers.set("access-control-allow-headers", ALLOWED_HEADERS);
        headers.set("access-control-max-age", String(PREFLIGHT_SECONDS));
      }
      return new Response(null, { status: 204, headers });
    },
  };
}
