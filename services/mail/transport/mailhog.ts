import { Hono } from "hono";
import type { App } from "../../../packages/service/app.ts";
import { isUuid } from "../../../packages/time/ids.ts";
import { type CaughtRow, type CaughtSearch, deleteCaught, findCaught, listCaught } from "../store.ts";

// MailHog's API, as far as tests use it, in its own words and shapes: what reads mails from MailHog reads them here.

/** All that the catcher and its pages need of the mail service. */
export type CatcherApp = Pick<App, "sql" | "clock" | "random" | "log">;

const LIMIT = 50;
const LIMIT_MAX = 250;
/** What version 1, which does not page, answers at most. */
const V1_LIMIT = 1_000;
const HOST = "bodega.test";

export function mailhogApi(app: CatcherApp): Hono {
  const routes = new Hono();
  routes.get("/api/v2/messages", async (ctx) => ctx.json(await page(app, null, ctx.req.query())));
  routes.get("/api/v2/search", async (ctx) => {
    const { kind = "", query = "" } = ctx.req.query();
    if (!isKind(kind) || query === "")
      return ctx.json({ error: "kind is to, from or containing, and query is not empty" }, 400);
    return ctx.json(await page(app, { kind, query }, ctx.req.query()));
  });
  routes.get("/api/v1/messages", async (ctx) =>
    ctx.json((await listCaught(app.sql, null, 0, V1_LIMIT)).rows.map(message)),
  );
  routes.delete("/api/v1/messages", async (ctx) => {
    await deleteCaught(app.sql, null);
    return ctx.body(null, 200);
  });
  routes.get("/api/v1/messages/:id", async (ctx) => {
    const id = ctx.req.param("id");
    const row = isUuid(id) ? await findCaught(app.sql, id) : null;
    return row ? ctx.json(message(row)) : ctx.json({ error: `there is no message ${id}` }, 404);
  });
  routes.delete("/api/v1/messages/:id", async (ctx) => {
    const id = ctx.req.param("id");
    if (!isUuid(id)) return ctx.json({ error: `there is no message ${id}` }, 404);
    await deleteCaught(app.sql, id);
    return ctx.body(null, 200);
  });
  return routes;
}

async function page(app: CatcherApp, search: CaughtSearch, query: Record<string, string>) {
  const start = whole(query["start"], 0);
  const limit = Math.min(whole(query["limit"], LIMIT), LIMIT_MAX);
  const { rows, total } = await listCaught(app.sql, search, start, limit);
  return { total, count: rows.length, start, items: rows.map(message) };
}

/** A number above 0, or the default for anything else, as MailHog reads it. */
function whole(text: string | undefined, otherwise: number): number {
  return text && /^\d{1,9}$/.test(text) && Number(text) > 0 ? Number(text) : otherwise;
}

function isKind(kind: string): kind is "to" | "from" | "containing" {
  return ["to", "from", "containing"].includes(kind);
}

export interface Content {
  Headers: Record<string, string[]>;
  Body: string;
  Size: number;
  MIME: { Parts: Content[] } | null;
}

export function message(row: CaughtRow) {
  const content = contentOf(row.data);
  const parts = partsOf(content);
  const received = row.received.map(
    ({ helo, at }) =>
      `from ${helo} by ${HOST} (Bodega)\r\n          id ${row.caught_id}; ${new Date(at).toUTCString()}`,
  );
  const Headers: Content["Headers"] = {
    ...content.Headers,
    ...(headerOf(content, "message-id") ? {} : { "Message-ID": [row.message_id] }),
    // One line per hand-over, so that a mail that came twice shows it.
    Received: [...(content.Headers["Received"] ?? []), ...received],
    "Return-Path": [`<${row.sender}>`],
  };
  return {
    ID: row.caught_id,
    From: path(row.sender),
    To: row.recipients.map(path),
    Content: { ...content, Headers },
    Created: row.caught_at.toISOString(),
    MIME: parts && { Parts: parts },
    Raw: { From: row.sender, To: row.recipients, Data: row.data, Helo: row.received[0]?.helo ?? "" },
  };
}

function path(address: string) {
  const at = address.indexOf("@");
  const [mailbox, domain] = at < 0 ? [address, ""] : [address.slice(0, at), address.slice(at + 1)];
  return { Relays: null, Mailbox: mailbox, Domain: domain, Params: "" };
}

/** Headers, folded lines joined, and what comes after them. */
export function contentOf(data: string): Content {
  const end = data.indexOf("\r\n\r\n");
  const head = end < 0 ? data : data.slice(0, end);
  const headers = new Map<string, string[]>();
  for (const line of head.replace(/\r\n(?=[ \t])/g, "").split("\r\n")) {
    const [, name, value] = /^([!-9;-~]+):[ \t]*(.*)$/.exec(line) ?? [];
    if (name !== undefined) headers.set(name, [...(headers.get(name) ?? []), value ?? ""]);
  }
  return {
    Headers: Object.fromEntries(headers),
    Body: end < 0 ? "" : data.slice(end + 4),
    Size: Buffer.byteLength(data),
    MIME: null,
  };
}

/** The parts of a multipart mail, in parts as deep as they come up to a limit; null when it has none. */
export function partsOf(content: Content, depth = 0): Content[] | null {
  const type = headerOf(content, "content-type") ?? "";
  const boundary = /^multipart\/.*?;\s*boundary=(?:"([^"]+)"|([^\s;]+))/is.exec(type);
  const delimiter = boundary?.[1] ?? boundary?.[2];
  if (!delimiter || depth > 5) return null;
  const [, ...pieces] = `\r\n${content.Body}`.split(`\r\n--${delimiter}`);
  return pieces
    .filter((piece) => !piece.startsWith("--"))
    .map((piece) => {
      const part = contentOf(piece.replace(/^[ \t]*\r\n/, ""));
      const inner = partsOf(part, depth + 1);
      return inner ? { ...part, MIME: { Parts: inner } } : part;
    });
}

export function headerOf({ Headers }: Content, name: string): string | undefined {
  return Object.entries(Headers).find(([key]) => key.toLowerCase() === name)?.[1][0];
}
