import { type Message, toJson, toJsonString } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { compressionNegotiate } from "@connectrpc/connect/protocol";
import { ACCEPT_COMPRESSION, COMPRESS_BYTES_MIN } from "../../../packages/service/wire/http.ts";
import { asConnectError, problemOf, problemResponse, withStatus } from "../../../packages/service/wire/problem.ts";
import type { ServerStreamRpc } from "../../../packages/service/wire/rpc.ts";
import type { Context } from "../../../packages/telemetry/context.ts";
import type { Log } from "../../../packages/telemetry/log.ts";
import { sleep } from "../../../packages/time/wait.ts";
import type { Limit } from "../admission/limits.ts";
import type { Match, RouteTable } from "../routes.ts";
import { readRequest } from "./rest-request.ts";

export interface RestPorts {
  enter: Limit;
  log: Log;
  /** Its abort ends streams. */
  shutdown: AbortSignal;
  /** Called with each request that may stay open for long. */
  onStream: (req: Request) => void;
}

export type Rest = (req: Request, path: string, context: Context) => Promise<Response> | undefined;

/** Protobuf's own JSON, with zeros written out: who reads it has no descriptor to know them from. */
const JSON_OPTIONS = { alwaysEmitImplicit: true };
/** A stream whose first word takes longer is no refusal, so its answer can begin. */
const REFUSED_WITHIN_MS = 100;

/** REST and JSON for every RPC with a google.api.http annotation, through the same limits and the same calls as everything else. */
export function createRest(routes: RouteTable, ports: RestPorts): Rest {
  return (req, path, context) => {
    const found = routes.find(req.method === "HEAD" ? "GET" : req.method, path);
    if (!found) return undefined;
    if ("allow" in found) return Promise.resolve(methodNotAllowed(req.method, found.allow, context));
    return answer(found, req, context, ports);
  };
}

export function methodNotAllowed(method: string, allow: string[], context: Context): Response {
  const methods = allow.includes("GET") ? [...allow, "HEAD"] : allow;
  const error = new ConnectError(`this path takes ${methods.join(" and ")}, not ${method}`, Code.Unimplemented);
  return problemResponse(withStatus(405, error), context, new Headers({ allow: methods.join(", ") }));
}

async function answer(match: Match, req: Request, context: Context, ports: RestPorts): Promise<Response> {
  const { rpc } = match.route;
  const headers = new Headers();
  try {
    await ports.enter(rpc.method, req.headers, headers);
    const request = await readRequest(match, req);
    if (rpc.kind === "server_streaming") return await streamed(rpc, request, req, context, headers, ports);
    const reply = await rpc.call(request, { headers: req.headers, signal: req.signal, answer: answerOf(headers) });
    return await written(toJsonString(rpc.method.output, reply, JSON_OPTIONS), req, headers);
  } catch (error) {
    if (!(error instanceof ConnectError) && !req.signal.aborted)
      ports.log.error("rest.failed", error, { rpc: rpc.method.name });
    return problemResponse(asConnectError(error, context), context, headers);
  }
}

/** REST has no place for trailers. */
function answerOf(headers: Headers) {
  return { headers, trailers: new Headers() };
}

async function written(json: string, req: Request, headers: Headers): Promise<Response> {
  headers.set("content-type", "application/json");
  headers.set("cache-control", "no-store");
  headers.append("vary", "Accept-Encoding");
  const bytes = new TextEncoder().encode(json);
  const { response } = compressionNegotiate(
    ACCEPT_COMPRESSION,
    null,
    req.headers.get("accept-encoding"),
    "accept-encoding",
  );
  if (!response || bytes.byteLength < COMPRESS_BYTES_MIN) return new Response(bytes, { headers });
  headers.set("content-encoding", response.name);
  return new Response(await response.compress(bytes), { headers });
}

/** One message a line. A refusal at the start is a problem of its own; a later one is the last line. */
async function streamed(
  rpc: ServerStreamRpc,
  request: Message,
  req: Request,
  context: Context,
  headers: Headers,
  ports: RestPorts,
): Promise<Response> {
  ports.onStream(req);
  const gone = new AbortController();
  const signal = AbortSignal.any([req.signal, ports.shutdown, gone.signal]);
  const items = rpc.call(request, { headers: req.headers, signal, answer: answerOf(headers) })[Symbol.asyncIterator]();
  let next: Promise<IteratorResult<Message>> | undefined = items.next();
  await Promise.race([next, sleep(REFUSED_WITHIN_MS, signal)]);

  const encoder = new TextEncoder();
  const line = (value: unknown) => encoder.encode(`${JSON.stringify(value)}\n`);
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const item = await (next ?? items.next());
        next = undefined;
        if (item.done) controller.close();
        else controller.enqueue(line(toJson(rpc.method.output, item.value, JSON_OPTIONS)));
      } catch (error) {
        if (!(error instanceof ConnectError)) ports.log.error("rest.failed", error, { rpc: rpc.method.name });
        controller.enqueue(line({ error: problemOf(asConnectError(error, context), context) }));
        controller.close();
      }
    },
    cancel: () => gone.abort(),
  });
  headers.set("content-type", "application/x-ndjson");
  headers.set("cache-control", "no-store");
  return new Response(body, { headers });
}
