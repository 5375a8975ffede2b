import { Code, ConnectError } from "@connectrpc/connect";
import { refused } from "../../packages/service/errors.ts";
import { PAGE_BYTES_MAX, type Served } from "../../packages/service/outside.ts";
import type { InnerTls } from "../../packages/service/tls.ts";
import { readBody } from "../../packages/service/wire/body.ts";
import { asConnectError, problemResponse, withStatus } from "../../packages/service/wire/problem.ts";
import { over } from "../../packages/service/wire/remote.ts";
import { createUntilBack, type UntilBack } from "../../packages/service/wire/until-back.ts";
import { untilReached } from "../../packages/service/wire/until-reached.ts";
import { contextIn } from "../../packages/telemetry/context.ts";

/** What concerns one connection and not the message on it: RFC 9110 7.6.1. */
const HOP_BY_HOP = ["connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];

interface Way {
  tls: InnerTls | undefined;
  /** What the RPCs of that process wait by. */
  untilBack: UntilBack;
}

/** Pages of another process, passed on byte for byte: a form or a webhook that comes twice does no harm. */
export function forwardPages(
  base: string,
  paths: string[],
  { tls, untilBack = createUntilBack() }: Partial<Way> = {},
): Served {
  return {
    paths,
    async fetch(req) {
      try {
        return await forward(base, req, { tls, untilBack });
      } catch (error) {
        const context = contextIn(req.headers);
        return problemResponse(asConnectError(error, context), context);
      }
    },
  };
}

async function forward(base: string, req: Request, { tls, untilBack }: Way): Promise<Response> {
  const { method, headers, signal } = req;
  const body = method === "GET" ? null : await readPage(req);
  const sent: RequestInit = { method, headers: endToEnd(headers), body, redirect: "manual", signal };
  const { pathname, search } = new URL(req.url);
  const ask = () =>
    fetch(`${base}${pathname}${search}`, { ...sent, ...over(tls), decompress: false } as BunFetchRequestInit);
  const reach = () => untilReached("this page", ask, { harmless: true, signal });
  const answer = await untilBack(async () => orComeBack(await reach()), signal);
  return new Response(answer.body, { status: answer.status, headers: endToEnd(answer.headers) });
}

/** A page's way to say what an RPC says with UNAVAILABLE. */
async function orComeBack(answer: Response): Promise<Response> {
  const seconds = Number(answer.headers.get("retry-after"));
  if (answer.status !== 503 || !(seconds > 0)) return answer;
  await answer.body?.cancel();
  throw refused(Code.Unavailable, "UNAVAILABLE", "a part of the platform cannot be reached right now", seconds * 1_000);
}

/** No more than the page itself would take: what it refuses must not lie here first, for as many as send it. */
async function readPage(req: Request): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return await readBody(req, PAGE_BYTES_MAX);
  } catch (error) {
    throw error instanceof ConnectError && error.code === Code.ResourceExhausted ? withStatus(413, error) : error;
  }
}

function endToEnd(headers: Headers): Headers {
  const passed = new Headers(headers);
  for (const name of HOP_BY_HOP) passed.delete(name);
  return passed;
}
