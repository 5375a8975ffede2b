import { Hono } from "hono";
import type { Child } from "hono/jsx";
import { isUuid } from "../../../packages/time/ids.ts";
import { type CaughtRow, findCaught, listCaught } from "../store.ts";
import { type CatcherApp, type Content, contentOf, headerOf, partsOf } from "./mailhog.ts";
import { decodedBody, decodedHeader } from "./mime.ts";

const MAILS_PER_PAGE = 50;
const REFRESH_S = 5;
const PAGE_POLICY =
  "default-src 'none'; style-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/** A mail is a stranger's page: no scripts, no forms, nothing fetched, an origin of its own. */
const MAIL_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'";

/** The catcher's pages: they work without script and look again by themselves. */
export function catcherPages(app: CatcherApp): Hono {
  const pages = new Hono();
  pages.use(async (ctx, next) => {
    await next();
    ctx.header("X-Content-Type-Options", "nosniff");
    ctx.header("Referrer-Policy", "no-referrer");
    if (!ctx.res.headers.has("Content-Security-Policy")) ctx.header("Content-Security-Policy", PAGE_POLICY);
  });
  pages.get("/", async (ctx) => {
    const to = ctx.req.query("to") ?? "";
    const start = Number(/^\d{1,9}$/.exec(ctx.req.query("start") ?? "")?.[0] ?? 0);
    const { rows, total } = await listCaught(app.sql, to ? { kind: "to", query: to } : null, start, MAILS_PER_PAGE);
    return ctx.html(<List rows={rows} total={total} start={start} to={to} />);
  });
  pages.get("/style.css", (ctx) => ctx.body(STYLE, 200, { "Content-Type": "text/css" }));
  pages.get("/mails/:id", async (ctx) => {
    const row = await find(app, ctx.req.param("id"));
    return row ? ctx.html(<Mail row={row} />) : ctx.notFound();
  });
  pages.get("/mails/:id/html", async (ctx) => {
    const row = await find(app, ctx.req.param("id"));
    const html = row && bodyOf(row, "text/html");
    if (html == null) return ctx.notFound();
    return ctx.body(html, 200, { "Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": MAIL_POLICY });
  });
  return pages;
}

async function find(app: CatcherApp, id: string): Promise<CaughtRow | null> {
  return isUuid(id) ? findCaught(app.sql, id) : null;
}

function List({ rows, total, start, to }: { rows: CaughtRow[]; total: number; start: number; to: string }) {
  const at = (from: number) => `/?${new URLSearchParams({ ...(to ? { to } : {}), start: String(from) })}`;
  return (
    <Page title="Caught mails" refresh>
      <header>
        <h1>Caught mails</h1>
        <form action="/">
          <label>
            To <input name="to" value={to} />
          </label>{" "}
          <button type="submit">Filter</button>
        </form>
      </header>
      {rows.length === 0 && (
        <p>{to ? "No mail to this address." : "No mail yet. Everything the platform sends shows up here."}</p>
      )}
      {rows.length > 0 && (
        <table>
          <thead>
            <tr>
              <th scope="col">Subject</th>
              <th scope="col">To</th>
              <th scope="col">Time</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr>
                <td>
                  <a href={`/mails/${row.caught_id}`}>{subjectOf(row)}</a>
                  {row.received.length > 1 && <span class="again"> handed over {row.received.length} times</span>}
                </td>
                <td>{row.recipients.join(", ")}</td>
                <td>{timeOf(row.caught_at)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <nav>
        {start > 0 && <a href={at(Math.max(0, start - MAILS_PER_PAGE))}>Newer</a>}{" "}
        {start + rows.length < total && <a href={at(start + MAILS_PER_PAGE)}>Older</a>}
      </nav>
      <footer>
        {total} {total === 1 ? "mail" : "mails"}
      </footer>
    </Page>
  );
}

function Mail({ row }: { row: CaughtRow }) {
  const content = contentOf(row.data);
  const text = bodyOf(row, "text/plain");
  return (
    <Page title={subjectOf(row)}>
      <header>
        <h1>{subjectOf(row)}</h1>
        <a href="/">All mails</a>
      </header>
      <dl>
        <dt>From</dt>
        <dd>{decodedHeader(headerOf(content, "from") ?? row.sender)}</dd>
        <dt>To</dt>
        <dd>{row.recipients.join(", ")}</dd>
        <dt>Message-ID</dt>
        <dd>{row.message_id}</dd>
        <dt>Handed over</dt>
        <dd>{row.received.map(({ at }) => timeOf(new Date(at))).join(", ")}</dd>
      </dl>
      {text !== null && <pre>{text}</pre>}
      {bodyOf(row, "text/html") !== null && (
        <iframe title="The mail in HTML" sandbox="" src={`/mails/${row.caught_id}/html`} />
      )}
    </Page>
  );
}

function Page({ title, refresh = false, children }: { title: string; refresh?: boolean; children?: Child }) {
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width" />
        {refresh && <meta http-equiv="refresh" content={String(REFRESH_S)} />}
        <title>{title}</title>
        <link rel="stylesheet" href="/style.css" />
      </head>
      <body>{children}</body>
    </html>
  );
}

function subjectOf(row: CaughtRow): string {
  return decodedHeader(headerOf(contentOf(row.data), "subject") ?? "") || "(no subject)";
}

function timeOf(at: Date): string {
  return `${at.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** The mail's first part of a type, decoded; null when it has none. */
function bodyOf(row: CaughtRow, type: "text/plain" | "text/html"): string | null {
  const content = contentOf(row.data);
  const flat = (part: Content): Content[] => (part.MIME ? part.MIME.Parts.flatMap(flat) : [part]);
  const parts = (partsOf(content) ?? [content]).flatMap(flat);
  const found = parts.find((part) => (headerOf(part, "content-type") ?? "text/plain").toLowerCase().startsWith(type));
  return found ? decodedBody(found.Body, headerOf(found, "content-transfer-encoding")) : null;
}

const STYLE = `
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 0 auto; padding: 1rem }
header { display: flex; flex-wrap: wrap; gap: 1rem; align-items: baseline; justify-content: space-between }
h1 { font-size: 1.4rem; margin: 0 0 1rem; overflow-wrap: anywhere }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .4rem .6rem .4rem 0; border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent) }
td:first-child { overflow-wrap: anywhere }
th:last-child, td:last-child { white-space: nowrap; padding-right: 0 }
.again { font-weight: 600 }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem }
dd { margin: 0; overflow-wrap: anywhere }
pre { white-space: pre-wrap; overflow-wrap: anywhere; padding: 1rem; border: 1px solid color-mix(in srgb, currentColor 20%, transparent) }
iframe { box-sizing: border-box; width: 100%; height: 30rem; border: 1px solid color-mix(in srgb, currentColor 20%, transparent); background: white }
nav, footer { margin-top: 1rem }
`;
