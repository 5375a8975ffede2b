import { create } from "@bufbuild/protobuf";
import { Hono } from "hono";
import {
  AuthService,
  GetSigningKeysRequestSchema,
  type GetSigningKeysResponse,
} from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { createReadyAnswer, type EdgeService } from "../../packages/service/wire/health.ts";
import type { Rpc, UnaryRpc } from "../../packages/service/wire/rpc.ts";
import type { Clock } from "../../packages/time/clock.ts";
import type { FollowedTime } from "../../packages/time/followed.ts";
import { keptFor } from "../../packages/time/kept.ts";

const KEYS_SECONDS = 60;
/** The service is asked once a second, however many ask here. */
const KEYS_KEPT_MS = 1_000;

const INDEX: [string, string][] = [
  ["/openapi.json", "the REST API, described (OpenAPI 3.1)"],
  ["/v1/products", "the shelf"],
  ["/.well-known/jwks.json", "the public keys of access tokens"],
  ["/healthz", "alive"],
  ["/readyz", "every service's database answers"],
];

export interface PagePorts {
  services: EdgeService[];
  /** Everything answered, to find the signing keys in. */
  rpcs: Rpc[];
  openapi: () => string;
  /** True once the gateway is to end. */
  leaving: () => boolean;
  clock: Clock;
  time?: Pick<FollowedTime, "skewMs">;
  securityContact: string;
  /** Before the paths of links. */
  basePath: string;
}

/** What is neither an RPC nor a REST resource: the edge's own pages, and those of the services. */
export function createPages(ports: PagePorts): Hono {
  const { services, rpcs, openapi, leaving, clock, time, basePath, securityContact } = ports;
  const app = new Hono();
  const keys = rpcs.find((rpc): rpc is UnaryRpc => rpc.method === AuthService.method.getSigningKeys);

  app.get("/", (c) =>
    c.req.header("accept")?.includes("text/html") ? c.html(indexPage(basePath)) : c.text(indexText(basePath)),
  );
  app.get("/healthz", (c) => (leaving() ? c.json({ status: "going down" }, 503) : c.json({ status: "alive" })));
  app.get("/readyz", createReadyAnswer(services, leaving, clock, time));
  app.get("/openapi.json", (c) => c.body(openapi(), 200, { "content-type": "application/json" }));
  if (keys) {
    const ask = keptFor(
      KEYS_KEPT_MS,
      () => clock.now().getTime(),
      () => readKeys(keys),
    );
    app.get("/.well-known/jwks.json", async (c) =>
      c.body(await ask(), 200, {
        "content-type": "application/json",
        "cache-control": `public, max-age=${KEYS_SECONDS}`,
      }),
    );
  }
  if (securityContact)
    app.get("/.well-known/security.txt", (c) =>
      c.body(securityText(securityContact, clock.now()), 200, { "content-type": "text/plain; charset=utf-8" }),
    );
  for (const { pages } of services) if (pages) app.on(["GET", "POST"], pages.paths, (c) => pages.fetch(c.req.raw));
  app.onError((error) => {
    throw error; // The edge answers for all of its failures in one way.
  });
  return app;
}

const SECURITY_TEXT_MS = 30 * 86_400_000;

/** RFC 9116. It is as fresh as the process that tells it. */
function securityText(contact: string, now: Date): string {
  const expires = new Date(now.getTime() + SECURITY_TEXT_MS).toISOString();
  return `Contact: ${contact}\nExpires: ${expires}\nPreferred-Languages: en\n`;
}

/** For everybody, so in nobody's name. */
async function readKeys(keys: UnaryRpc): Promise<string> {
  const context = { headers: new Headers(), signal: new AbortController().signal };
  const { jwks } = (await keys.call(create(GetSigningKeysRequestSchema), context)) as GetSigningKeysResponse; // Its method's output.
  return jwks;
}

const INTRODUCTION =
  "Connect, gRPC-Web and REST answer here, native gRPC on its own port; both tell their schema by reflection (buf curl, grpcurl).";

function indexText(base: string): string {
  const width = Math.max(...INDEX.map(([path]) => base.length + path.length)) + 2;
  const lines = INDEX.map(([path, what]) => (base + path).padEnd(width) + what);
  return ["Bodega", "", INTRODUCTION, "", ...lines, ""].join("\n");
}

function indexPage(base: string): string {
  const items = INDEX.map(([path, what]) => `<li><a href="${base}${path}">${base}${path}</a>: ${what}</li>`).join("");
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Bodega</title><h1>Bodega</h1><p>${INTRODUCTION}</p><ul>${items}</ul></html>`;
}
