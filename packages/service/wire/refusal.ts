import { Code, ConnectError } from "@connectrpc/connect";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import {
  codeToHttpStatus,
  contentTypeStreamRegExp,
  contentTypeUnaryRegExp,
  endStreamFlag,
  endStreamToJson,
  errorToJson,
} from "@connectrpc/connect/protocol-connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { trailerFlag, trailerSerialize } from "@connectrpc/connect/protocol-grpc-web";
import type { Context } from "../../telemetry/context.ts";
import { pathOf } from "./http.ts";
import { problemResponse } from "./problem.ts";

/** What of a request tells its protocol. */
interface Asked {
  method: string;
  url: string;
  headers: Headers;
}

type Protocol = "connect" | "connect stream" | "gRPC-Web" | "gRPC";

const GRPC = /^application\/grpc(?:\+(?:proto|json))?(?:;|$)/i;
const GRPC_WEB = /^application\/grpc-web(?:\+(?:proto|json))?(?:;|$)/i;
const RPC_PATH = /^\/(?:\w+\.)+\w+\/\w+$/;
const CONNECT_GET = /[?&]connect=v1(?:&|$)/;

/** A refusal that no handler gave, in the words of the protocol that the request speaks; for all that is no RPC a problem by RFC 9457. */
export function refusalResponse(req: Asked, error: ConnectError, context: Context): Response {
  const type = req.headers.get("content-type") ?? "";
  const headers = new Headers({ "content-type": type, "cache-control": "no-store" });
  switch (protocolOf(req)) {
    case "gRPC":
      return new Response(null, { headers: setTrailerStatus(headers, error) });
    case "gRPC-Web":
      return new Response(envelope(trailerFlag, trailerSerialize(setTrailerStatus(new Headers(), error))), { headers });
    case "connect stream":
      return new Response(envelope(endStreamFlag, json(endStreamToJson(new Headers(), error, undefined))), { headers });
    case "connect":
      headers.set("content-type", "application/json");
      // An RPC that is not there is 404 in Connect, which its clients read as unimplemented.
      return new Response(json(errorToJson(error, undefined)), {
        status: error.code === Code.Unimplemented ? 404 : codeToHttpStatus(error.code),
        headers,
      });
    case undefined:
      return problemResponse(error, context);
  }
}

/** What is answered where there is nothing: an RPC that is not there is unimplemented, anything else not found. */
export function nothingAt(req: Asked): ConnectError {
  const path = pathOf(req.url);
  return protocolOf(req)
    ? new ConnectError(`there is no RPC ${path}`, Code.Unimplemented)
    : new ConnectError(`there is nothing at ${path}`, Code.NotFound);
}

/** Undefined for what is no call of an RPC. Plain JSON is REST's too: it is a call only on a path like that of an RPC. */
function protocolOf(req: Asked): Protocol | undefined {
  const type = req.headers.get("content-type") ?? "";
  if (GRPC.test(type)) return "gRPC";
  if (GRPC_WEB.test(type)) return "gRPC-Web";
  if (contentTypeStreamRegExp.test(type)) return "connect stream";
  if (!RPC_PATH.test(pathOf(req.url))) return undefined;
  const unary = req.method === "GET" ? CONNECT_GET.test(req.url) : contentTypeUnaryRegExp.test(type);
  return unary ? "connect" : undefined;
}

function json(value: object): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(value));
}

function envelope(flags: number, data: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(encodeEnvelope(flags, data));
}
