import { Code } from "@connectrpc/connect";
import { Hono } from "hono";
import { refused } from "../../packages/service/errors.ts";

const RETRY_MS = 1_000;
/** What concerns one connection and not the message on it: RFC 9110 7.6.1. */
const HOP_BY_HOP = ["connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];

/** Pages and webhooks of another process, passed on byte for byte. Who gets no answer is told to come back. */
export function forwardPages(base: string, paths: string[]): Hono {
  const pages = new Hono();
  for (const path of paths) {
    pages.on(["GET", "POST"], path, async ({ req }) => {
      const body = req.method === "GET" ? null : await req.arrayBuffer();
      const headers = endToEnd(req.raw.headers);
      const sent: RequestInit = { method: req.method, headers, body, redirect: "manual" };
      const answer = await fetch(`${base}${req.path}`, { ...sent, decompress: false } as RequestInit);
      return new Response(answer.body, { status: answer.status, headers: endToEnd(answer.headers) });
    });
  }
  pages.onError((error) => {
    throw refused(Code.Unavailable, "UNAVAILABLE", `this page cannot be reached right now: ${error.message}`, RETRY_MS);
  });
  return pages;
}

function endToEnd(headers: Headers): Headers {
  const passed = new Headers(headers);
  for (const name of HOP_BY_HOP) passed.delete(name);
  return passed;
}
