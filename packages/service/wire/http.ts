import {
  create,
  type DescMessage,
  type DescMethod,
  fromBinary,
  fromJsonString,
  type JsonReadOptions,
  type JsonWriteOptions,
  type Message,
  type MessageInitShape,
  toBinary,
  toJsonString,
} from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type ConnectRouter,
  createConnectRouter,
  createContextValues,
  createHandlerContext,
  type HandlerContext,
} from "@connectrpc/connect";
import {
  compressionNegotiate,
  mergeNonProtocolHeaders,
  type UniversalHandler,
  type UniversalServerResponse,
  universalServerRequestFromFetch,
  universalServerResponseToFetch,
} from "@connectrpc/connect/protocol";
import { codeToHttpStatus, errorToJsonBytes, parseTimeout } from "@connectrpc/connect/protocol-connect";
import { compressionBrotli, compressionGzip } from "@connectrpc/connect-node";
import { contextIn, withContext } from "../../telemetry/context.ts";
import type { Log } from "../../telemetry/log.ts";
import { JSON_DECODER, jsonText, malformed, malformedGet, readBody, tooLarge } from "./body.ts";
import { type Rpc, route } from "./rpc.ts";

export interface ServeOptions {
  /** Of one message, after decompression. */
  readMaxBytes: number;
  /** Runs before a body is read: refuses by throwing, may change request headers and set response headers. */
  gate?: (context: HandlerContext) => void | Promise<void>;
  /** Its abort ends streams. */
  shutdown?: AbortSignal;
  jsonOptions?: Partial<JsonReadOptions & JsonWriteOptions>;
  /** Called with each request that may stay open for long. */
  onStream?: (req: Request) => void;
  /** Hears what no handler threw and is answered as INTERNAL, of unary Connect calls; the library keeps it to itself. */
  log?: Log;
}

/** Answers requests to RPCs; undefined for a path that is none. `path` is the URL's, where that has no more before it. */
export type Mount = (req: Request, path?: string) => Promise<Response> | undefined;

export const ACCEPT_COMPRESSION = [compressionGzip, compressionBrotli];
/** Shorter answers are not compressed; the library's streams have the same bound. */
export const COMPRESS_BYTES_MIN = 1_024;
const UNARY = /^application\/(?:(json)(?:; ?charset=utf-?8)?|proto)$/i;

export function serveRpcs(rpcs: Rpc[], options: ServeOptions): Mount {
  return serveRoutes((router) => route(router, rpcs), options);
}

/**
 * Connect and gRPC-Web over fetch. Unary Connect calls, which are nearly all, take a path of our own that is the same on the wire at less than
 * half the cost; GET, streams and gRPC-Web are the library's.
 */
export function serveRoutes(routes: (router: ConnectRouter) => void, options: ServeOptions): Mount {
  const { readMaxBytes, gate, shutdown, jsonOptions } = options;
  const router = createConnectRouter({
    grpc: false,
    readMaxBytes,
    acceptCompression: ACCEPT_COMPRESSION,
    compressMinBytes: COMPRESS_BYTES_MIN,
    ...(gate && { requestGate: gate }),
    ...(shutdown && { shutdownSignal: shutdown }),
    jsonOptions: { ...jsonOptions, ...JSON_DECODER },
  });
  const unary = new Map<DescMethod, UnaryImplementation>();
  routes(remembering(router, unary));
  const handlers = new Map(
    router.handlers.map((handler) => [handler.requestPath, answerer(handler, unary.get(handler.method), options)]),
  );
  return (req, path = pathOf(req.url)) => handlers.get(path)?.(req);
}

/** The path of a request's URL, still encoded. A request without Host has a URL that is only a path. */
export function pathOf(url: string): string {
  const start = url.startsWith("/") ? 0 : url.indexOf("/", url.indexOf("://") + 3);
  if (start < 0) return "/";
  const end = url.slice(start).search(/[?#]/);
  return end < 0 ? url.slice(start) : url.slice(start, start + end);
}

type UnaryImplementation = (
  request: Message,
  context: HandlerContext,
) => MessageInitShape<DescMessage> | Promise<MessageInitShape<DescMessage>>;

/** A router that also tells which functions answer unary methods: its handlers hide them. */
function remembering(router: ConnectRouter, unary: Map<DescMethod, UnaryImplementation>): ConnectRouter {
  function remember(method: DescMethod, implementation: unknown) {
    // The router's own types have checked the implementation against the method.
    if (method.methodKind === "unary" && typeof implementation === "function")
      unary.set(method, implementation as UnaryImplementation);
  }
  const remembered: ConnectRouter = {
    handlers: router.handlers,
    service(service, implementation, options) {
      for (const method of service.methods) {
        const found = implementation[method.localName];
        remember(method, typeof found === "function" ? found.bind(implementation) : undefined);
      }
      router.service(service, implementation, options);
      return remembered as never;
    },
    rpc(method, implementation, options) {
      remember(method, implementation);
      router.rpc(method, implementation, options);
      return remembered as never;
    },
  };
  return remembered;
}

function answerer(handler: UniversalHandler, unary: UnaryImplementation | undefined, options: ServeOptions) {
  return (req: Request): Promise<Response> => {
    if (handler.method.methodKind !== "unary") {
      options.onStream?.(req);
      return throughLibrary(handler, req);
    }
    const type = unary && req.method === "POST" ? UNARY.exec(req.headers.get("content-type") ?? "") : null;
    return unary && type
      ? answerUnary(handler.method, unary, req, type[1] !== undefined, options)
      : buffered(handler, req);
  };
}

async function throughLibrary(handler: UniversalHandler, req: Request): Promise<Response> {
  return universalServerResponseToFetch(withAllow(handler, await handler(universalRequest(req))));
}

/** The library leaves out what HTTP asks of a 405. */
function withAllow(handler: UniversalHandler, answer: UniversalServerResponse): UniversalServerResponse {
  return answer.status === 405
    ? { ...answer, header: new Headers({ allow: handler.allowedMethods.join(", ") }) }
    : answer;
}

/** A unary answer fits in memory; a stream around it would cost as much as the call. */
async function buffered(handler: UniversalHandler, req: Request): Promise<Response> {
  const refusal = malformedGet(handler.method, req);
  if (refusal) {
    const headers = { "content-type": "application/json" };
    return new Response(errorToJsonBytes(refusal, undefined) as Uint8Array<ArrayBuffer>, { status: 400, headers }); // A TextEncoder made it.
  }
  const { status, header, body } = withAllow(handler, await handler(universalRequest(req)));
  const init = header ? { status, headers: header } : { status };
  if (!body) return new Response(null, init);
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return new Response(Buffer.concat(chunks), init);
}

function universalRequest(req: Request) {
  const universal = universalServerRequestFromFetch(req, {});
  return req.url.startsWith("/") ? { ...universal, url: `http://localhost${req.url}` } : universal;
}

/** One unary call of the Connect protocol: https://connectrpc.com/docs/protocol#unary-request */
async function answerUnary(
  method: DescMethod,
  implementation: UnaryImplementation,
  req: Request,
  json: boolean,
  options: ServeOptions,
): Promise<Response> {
  const { headers } = req;
  const timeout = parseTimeout(headers.get("connect-timeout-ms"), Number.MAX_SAFE_INTEGER);
  const compression = compressionNegotiate(
    ACCEPT_COMPRESSION,
    headers.get("content-encoding"),
    headers.get("accept-encoding"),
    "accept-encoding",
  );
  const limited = timeout.timeoutMs === undefined ? undefined : limitedContext(method, req, timeout.timeoutMs);
  const context = limited ?? contextOf(method, req);
  const { responseHeader, responseTrailer } = context;
  responseHeader.set("content-type", json ? "application/json" : "application/proto");
  let status = 200;
  let body: Uint8Array<ArrayBuffer>;
  try {
    await options.gate?.(context);
    if (compression.error) throw compression.error;
    if (timeout.error) throw timeout.error;
    const sent = await readBody(req, options.readMaxBytes);
    const bytes = compression.request ? await compression.request.decompress(sent, options.readMaxBytes) : sent;
    const answered = implementation(decodeRequest(method, bytes, json, options), context);
    const reply = create(method.output, await (limited ? unlessAborted(limited.signal, answered) : answered));
    body = json
      ? encoder.encode(toJsonString(method.output, reply, options.jsonOptions))
      : toBinary(method.output, reply);
  } catch (error) {
    const refusal = asRefusal(error, req, options.log);
    status = codeToHttpStatus(refusal.code);
    responseHeader.set("content-type", "application/json");
    mergeNonProtocolHeaders(responseHeader, refusal.metadata);
    body = errorToJsonBytes(refusal, options.jsonOptions) as Uint8Array<ArrayBuffer>; // A TextEncoder made it.
  } finally {
    limited?.abort();
  }
  if (compression.response && body.byteLength >= COMPRESS_BYTES_MIN) {
    body = await compression.response.compress(body);
    responseHeader.set("content-encoding", compression.response.name);
  }
  for (const [name, value] of responseTrailer) responseHeader.append(`trailer-${name}`, value);
  return new Response(body, { status, headers: responseHeader });
}

const encoder = new TextEncoder();

/** What the library makes for each call, without its three abort controllers and its copy of the headers. */
function contextOf(method: DescMethod, req: Request): HandlerContext {
  return {
    method,
    service: method.parent,
    protocolName: "connect",
    requestMethod: "POST",
    url: req.url,
    requestHeader: req.headers,
    responseHeader: new Headers(),
    responseTrailer: new Headers(),
    values: createContextValues(),
    timeoutMs: () => undefined,
    get signal() {
      return req.signal;
    },
  };
}

function limitedContext(method: DescMethod, req: Request, timeoutMs: number) {
  return createHandlerContext({
    method,
    service: method.parent,
    protocolName: "connect",
    requestMethod: "POST",
    url: req.url,
    requestHeader: req.headers,
    requestSignal: req.signal,
    timeoutMs,
  });
}

/** The answer, or the signal's reason when that comes first. */
export async function unlessAborted<T>(signal: AbortSignal, answer: T | Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([answer, promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

function decodeRequest(
  method: DescMethod,
  bytes: Uint8Array,
  json: boolean,
  { readMaxBytes, jsonOptions }: ServeOptions,
): Message {
  if (bytes.byteLength > readMaxBytes) throw tooLarge(readMaxBytes);
  try {
    return json
      ? fromJsonString(method.input, jsonText(bytes), { ignoreUnknownFields: true, ...jsonOptions })
      : fromBinary(method.input, bytes);
  } catch (error) {
    throw malformed(error);
  }
}

function asRefusal(error: unknown, req: Request, log: Log | undefined): ConnectError {
  if (error instanceof ConnectError) return error;
  // A body that ends early is the client's going; anything else here was thrown by no handler of ours.
  if (req.signal.aborted) return new ConnectError("the client is gone", Code.Canceled);
  const context = contextIn(req.headers);
  withContext(context, () => log?.error("http.failed", error, { path: pathOf(req.url) }));
  return new ConnectError("internal error", Code.Internal, undefined, undefined, error);
}
