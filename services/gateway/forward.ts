import { Hono } from "hono";
import { untilReached } from "../../packages/service/again.ts";
import { contextIn } from "../../packages/telemetry/context.ts";
import { asConnectError, problemResponse } from "./problem.ts";

/** What concerns one connection and not the message on it: RFC 9110 7.6.1. */
const HOP_BY_HOP = ["connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];

/** Pages and webhooks of another process, passed on byte for byte: a form or a webhook that comes twice does no harm. */
export function forwardPages(base: string, paths: string[]): Hono {
  const pages = new Hono();
  for (const path of paths) {
    pages.on(["GET", "POST"], path, async ({ req }) => {
      const { method, headers, signal } = req.raw;
      const body = method === "GET" ? null : await req.arrayBuffer();
      const sent: RequestInit = { method, headers: endToEnd(headers), body, redirect: "manual", signal };
      const { pathname, search } = new URL(req.url);
      const ask = () => fetch(`${base}${pathname}${search}`, { ...sent, decompress: false } as BunFetchRequestInit);
      const answer = await untilReached("this page", ask, { harmless: true, signal });
      return new Response(answer.body, { status: answer.status, headers: endToEnd(answer.headers) });
    });
  }
  pages.onError((error, { req }) => {
    const context = contextIn(req.raw.headers);
    return problemResponse(asConnectError(error, context), context);
  });
  return pages;
}

function endToEnd(headers: Headers): Headers {
  const passed = new Headers(headers);
  for (const name of HOP_BY_HOP) passed.delete(name);
  return passed;
}
