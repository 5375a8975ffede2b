import { create } from "@bufbuild/protobuf";
import { Hono } from "hono";
import {
  AuthService,
  GetSigningKeysRequestSchema,
  type GetSigningKeysResponse,
} from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import type { Rpc, UnaryRpc } from "../../packages/service/rpc.ts";
import { type EdgeService, readyAnswer } from "./health.ts";

const KEYS_SECONDS = 60;

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
  /** True once the gateway goes down. */
  closing: () => boolean;
}

/** What is neither an RPC nor a REST resource. */
export function createPages({ services, rpcs, openapi, closing }: PagePorts): Hono {
  const app = new Hono();
  const keys = rpcs.find((rpc): rpc is UnaryRpc => rpc.method === AuthService.method.getSigningKeys);

  app.get("/", (c) => (c.req.header("accept")?.includes("text/html") ? c.html(indexPage()) : c.text(indexText())));
  app.get("/healthz", (c) => c.json({ status: "alive" }));
  app.get("/readyz", () => readyAnswer(services, closing()));
  app.get("/openapi.json", (c) => c.body(openapi(), 200, { "content-type": "application/json" }));
  if (keys) {
    app.get("/.well-known/jwks.json", async (c) => {
      const context = { headers: c.req.raw.headers, signal: c.req.raw.signal };
      const { jwks } = (await keys.call(create(GetSigningKeysRequestSchema), context)) as GetSigningKeysResponse; // Its method's output.
      return c.body(jwks, 200, {
        "content-type": "application/json",
        "cache-control": `public, max-age=${KEYS_SECONDS}`,
      });
    });
  }
  return app;
}

const INTRODUCTION =
  "Connect, gRPC-Web and REST answer here, native gRPC on its own port; both tell their schema by reflection (buf curl, grpcurl).";

function indexText(): string {
  const width = Math.max(...INDEX.map(([path]) => path.length)) + 2;
  return ["Bodega", "", INTRODUCTION, "", ...INDEX.map(([path, what]) => path.padEnd(width) + what), ""].join("\n");
}

function indexPage(): string {
  const items = INDEX.map(([path, what]) => `<li><a href="${path}">${path}</a>: ${what}</li>`).join("");
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Bodega</title><h1>Bodega</h1><p>${INTRODUCTION}</p><ul>${items}</ul></html>`;
}
