import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { Hono } from "hono";
import { SMTPServer, type SMTPServerDataStream, type SMTPServerSession } from "smtp-server";
import { gather, gatherPer } from "../../../packages/database/gather.ts";
import { explainPort } from "../../../packages/database/start-error.ts";
import { storable } from "../../../packages/database/storable.ts";
import type { App } from "../../../packages/service/app.ts";
import { authority, type Listening } from "../../../packages/service/outside.ts";
import type { MailConfig } from "../config.ts";
import { type Caught, deleteCaughtUpTo, insertCaught } from "../store.ts";
import { catcherPages } from "./catcher-page.tsx";
import { type CatcherApp, contentOf, headerOf, mailhogApi } from "./mailhog.ts";
import { addressOf, mimeOf } from "./mime.ts";
import type { MailTransport } from "./transport.ts";

// The catcher: takes every mail and keeps it in the mail service's database instead of sending it on.

export interface CatcherOptions {
  /** The page and MailHog's API; 0 takes a free port. */
  mailPort: number;
  smtpPort: number;
  host: string;
}

export interface Catcher extends Listening {
  port: number;
  smtpPort: number;
}

const MAIL_BYTES_MAX = 10 * 1024 * 1024;
const CLIENTS_MAX = 100;
const RECIPIENTS_MAX = 100;
const SOCKET_TIMEOUT_MS = 30_000;
const CLOSE_TIMEOUT_MS = 1_000;
/** Older mails go. */
const KEPT_MAX = 100_000n;
const PRUNED_EVERY = 1_000n;
const KEPT_AT_ONCE_MAX = 64;
const HTTP_BODY_BYTES_MAX = 64 * 1024;
const HEADER_CHARS_MAX = 1_000;

/** Hands mails to the catcher without a network between. */
export function catcherTransport(app: CatcherApp): MailTransport {
  return {
    async send(mail, signal) {
      signal.throwIfAborted();
      await keep(app, {
        sender: addressOf(mail.from) ?? "",
        recipients: [mail.to],
        data: mimeOf(mail),
        helo: "bodega",
      });
    },
  };
}

export function catches(app: App<MailConfig>): Promise<Catcher> {
  return startCatcher(app, { ...app.config, host: app.config.mailHost });
}

/** Opens the catcher's page, MailHog's API and an SMTP listener over the mail service's database. */
export async function startCatcher(app: CatcherApp, { mailPort, smtpPort, host }: CatcherOptions): Promise<Catcher> {
  const routes = new Hono().route("/", mailhogApi(app)).route("/", catcherPages(app));
  routes.onError((error, ctx) => {
    app.log.error("catcher.failed", error, { path: ctx.req.path });
    return ctx.json({ error: "something went wrong here" }, 500);
  });
  const http = serve(routes, mailPort, host);
  const smtp = await listen(smtpServer(app), smtpPort, host).catch(async (error: unknown) => {
    await http.stop(true);
    throw explainPort(error, host, smtpPort, "SMTP_PORT");
  });
  const port = http.port ?? mailPort;
  // A listening TCP server has an address with a port.
  const { port: openSmtpPort } = smtp.server.address() as AddressInfo;
  return {
    port,
    smtpPort: openSmtpPort,
    banner: ["Mail catcher", `http://${authority(host, port)}        SMTP on ${openSmtpPort}`],
    async close() {
      await http.stop(true);
      await new Promise<void>((resolve) => smtp.close(resolve));
    },
  };
}

function serve({ fetch }: Hono, port: number, hostname: string) {
  try {
    return Bun.serve({ hostname, port, fetch, maxRequestBodySize: HTTP_BODY_BYTES_MAX });
  } catch (error) {
    throw explainPort(error, hostname, port, "MAIL_PORT");
  }
}

async function listen(server: SMTPServer, port: number, host: string): Promise<SMTPServer> {
  server.listen(port, host);
  await once(server.server, "listening");
  return server;
}

function smtpServer(app: CatcherApp): SMTPServer {
  const server = new SMTPServer({
    name: "bodega.test",
    banner: "Bodega mail catcher",
    authOptional: true,
    allowInsecureAuth: true,
    disabledCommands: ["STARTTLS"],
    disableReverseLookup: true,
    size: MAIL_BYTES_MAX,
    rejectOversized: true,
    maxClients: CLIENTS_MAX,
    socketTimeout: SOCKET_TIMEOUT_MS,
    closeTimeout: CLOSE_TIMEOUT_MS,
    // Whoever asks is let in: nothing leaves this machine.
    onAuth: (_auth, _session, callback) => callback(null, { user: "anyone" }),
    onRcptTo: (_address, session, callback) =>
      callback(session.envelope.rcptTo.length >= RECIPIENTS_MAX ? answer(452, "too many recipients") : null),
    onData(stream, session, callback) {
      take(app, stream, session).then(
        () => callback(null, "kept"),
        (error: unknown) => {
          app.log.error("catcher.failed", error);
          callback(answer(451, "the mail could not be kept"));
        },
      );
    },
  });
  server.on("error", (error) => app.log.warn("catcher.connection_failed", { error: error.message }));
  return server;
}

function answer(responseCode: number, text: string): Error {
  return Object.assign(new Error(text), { responseCode });
}

/** Reads the mail to its end; one that is too big is refused by the server after it was read. */
async function take(app: CatcherApp, stream: SMTPServerDataStream, { envelope, hostNameAppearsAs }: SMTPServerSession) {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) if (!stream.sizeExceeded) chunks.push(chunk);
  if (stream.sizeExceeded) return;
  await keep(app, {
    sender: envelope.mailFrom ? envelope.mailFrom.address : "",
    recipients: envelope.rcptTo.map(({ address }) => address),
    data: Buffer.concat(chunks).toString("utf8"),
    helo: hostNameAppearsAs || "unknown",
  });
}

async function keep(app: CatcherApp, mail: Omit<Caught, "caught_id" | "message_id">): Promise<void> {
  const id = app.random.id();
  const data = storable(mail.data, mail.data.length);
  const messageId = headerOf(contentOf(data), "message-id")?.slice(0, HEADER_CHARS_MAX) || `<${id}@bodega.test>`;
  const position = await insert(app, {
    data,
    sender: storable(mail.sender, HEADER_CHARS_MAX),
    recipients: mail.recipients.map((recipient) => storable(recipient, HEADER_CHARS_MAX)),
    helo: storable(mail.helo, HEADER_CHARS_MAX),
    caught_id: id,
    message_id: messageId,
  });
  if (position % PRUNED_EVERY === 0n && position > KEPT_MAX) await deleteCaughtUpTo(app.sql, position - KEPT_MAX);
}

/** Mails that arrive at one moment are kept in one statement. */
const insert = gatherPer((app: CatcherApp) =>
  gather((mails: Caught[]) => insertCaught(app.sql, mails, app.clock.now()), {
    itemsMax: KEPT_AT_ONCE_MAX,
    atOnce: 1,
    keyOf: ({ message_id }) => message_id,
  }),
);
