import { Code, ConnectError } from "@connectrpc/connect";
import { PAGE_BYTES_MAX, type Served } from "../../packages/service/outside.ts";
import type { InnerTls } from "../../packages/service/tls.ts";
import { readBody } from "../../packages/service/wire/body.ts";
import { asConnectError, problemResponse, withStatus } from "../../packages/service/wire/problem.ts";
import { over } from "../../packages/service/wire/remote.ts";
import { untilReached } from "../../packages/service/wire/until-reached.ts";
import { contextIn } from "../../packages/telemetry/context.ts";

/** What concerns one connection and not the message on it: RFC 9110 7.6.1. */
const HOP_BY_HOP = ["connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];

/** Pages of another process, passed on byte for byte: a form or a webhook that comes twice does no harm. */
export function forwardPages(base: string, paths: string[], tls?: InnerTls): Served {
  return {
    paths,
    async fetch(req) {
      try {
        return await forward(base, req, tls);
      } catch (error) {
        const context = contextIn(req.headers);
        return problemResponse(asConnectError(error, context), context);
      }
    },
  };
}

async function forward(base: string, req: Request, tls: InnerTls | undefined): Promise<Response> {
  const { method, headers, signal } = req;
  const body = method === "GET" ? null : await readPage(req);
  const sent: RequestInit = { method, headers: endToEnd(headers), body, redirect: "manual", signal };
  const { pathname, search } = new URL(req.url);
  const ask = () =>
    fetch(`${base}${pathname}${search}`, { ...sent, ...over(tls), decompress: false } as BunFetchRequestInit);
  const answer = await untilReached("this page", ask, { harmless: true, signal });
  return new Response(answer.body, { status: answer.status, headers: endToEnd(answer.headers) });
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
