import { BlockList, isIP } from "node:net";
import { POSITION_HEADER } from "../../packages/service/replica-reads.ts";
import { ADDRESS_HEADER } from "../../packages/service/rpc.ts";
import { type Context, contextFrom, contextHeaders, contextIn } from "../../packages/telemetry/context.ts";

/** Headers by which proxies and services name a caller or its address. From outside they are nobody's word. */
const FORGED =
  /^(?:x-bodega-|x-forwarded-|x-original-|x-remote-|x-user|x-customer|x-role|x-auth-|x-admin|x-service|x-real-ip$|x-client-ip$|true-client-ip$|forwarded$)/;

/** Headers by lower-case name, as node:http2 has them. */
type Plain = Record<string, string | string[] | undefined>;

/** Makes the headers of a request from outside fit for the inside, and says what the request is known by. */
export function admit(headers: Headers, socket: string, addressOf: AddressOf): Context {
  const address = addressOf(socket, headers.get("x-forwarded-for"));
  for (const name of [...headers.keys()]) if (FORGED.test(name)) headers.delete(name);
  const context = contextIn(headers);
  for (const [name, value] of ours(context, address)) headers.set(name, value);
  return context;
}

export function admitPlain(headers: Plain, socket: string, addressOf: AddressOf): void {
  const first = (name: string) => [headers[name]].flat()[0] ?? null;
  const address = addressOf(socket, [headers["x-forwarded-for"]].flat().join(",") || null);
  for (const name of Object.keys(headers)) if (FORGED.test(name)) delete headers[name];
  const context = contextFrom(first("x-request-id"), first("traceparent"));
  for (const [name, value] of ours(context, address)) headers[name] = value;
}

function ours(context: Context, address: string): [string, string][] {
  return [...Object.entries(contextHeaders(context)), [ADDRESS_HEADER, address]];
}

const SECURITY: [string, string][] = [
  ["x-content-type-options", "nosniff"],
  ["referrer-policy", "no-referrer"],
  ["content-security-policy", "default-src 'none'; frame-ancestors 'none'"],
];
const HSTS = "max-age=31536000";

/** What every answer carries; a page that knows better keeps its own. `https` when a trusted proxy took the request over TLS. */
export function secure(headers: Headers, context: Context, https: boolean): void {
  headers.set("x-request-id", context.requestId);
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

/** The client's address: the socket's, or what trusted proxies in front of us say they saw. */
export type AddressOf = (socket: string, forwardedFor: string | null) => string;

export function createAddresses(trustedProxies: string[]): AddressOf {
  const trusted = new BlockList();
  for (const proxy of trustedProxies) {
    const [address = "", bits] = proxy.split("/");
    const family = familyOf(address);
    const widest = family === "ipv6" ? 128 : 32;
    if (!family || (bits !== undefined && !(/^\d{1,3}$/.test(bits) && Number(bits) <= widest))) {
      throw new Error(`TRUST_PROXY must list addresses such as 10.0.0.5 or 10.0.0.0/8, found ${proxy}`);
    }
    trusted.addSubnet(address, bits === undefined ? widest : Number(bits), family);
  }
  const isTrusted = (address: string) => {
    const family = familyOf(address);
    return family !== undefined && trusted.check(address, family);
  };
  return (socket, forwardedFor) => {
    // Each proxy appends whom it saw, so the list is believed from its end, as far as trusted proxies wrote it.
    let address = plain(socket);
    const hops = (forwardedFor ?? "").split(",").map((hop) => plain(hop.trim()));
    while (isTrusted(address) && isIP(hops.at(-1) ?? "") !== 0) address = hops.pop() ?? address;
    return address;
  };
}

/** An IPv4 address on an IPv6 socket is still that IPv4 address. */
function plain(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, "");
}

function familyOf(address: string): "ipv4" | "ipv6" | undefined {
  return ({ 4: "ipv4", 6: "ipv6" } as const)[isIP(address)];
}
