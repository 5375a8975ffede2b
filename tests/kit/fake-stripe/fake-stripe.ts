// A Stripe of our own on a loopback port: it keeps its own books, and goes wrong in every way that the real one may.
import { createHmac } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type Answer, answer, Refusal } from "./api.ts";
import { type Books, openBooks } from "./books.ts";
import { readForm } from "./form.ts";
import type { StripeEvent } from "./objects.ts";

/** What may go wrong with a call: a 500 before or after the deed, the line cut after it, too much to do, no answer until `goOn`, or never. */
export type Fault = "fault-before" | "fault-after" | "cut-after" | "busy" | "slow" | "hang";

export interface FakeStripe extends Books {
  /** STRIPE_API_BASE. */
  url: string;
  /** Events that nobody has heard yet, oldest first. */
  events: StripeEvent[];
  /** Whatever was asked, in order. */
  calls: Call[];
  /** Decides about each call as it comes; undefined lets it pass. */
  disturb(how: (method: string, path: string) => Fault | undefined): void;
  /** Answers what is slow. */
  goOn(): void;
  close(): Promise<void>;
}

export interface Call {
  method: string;
  /** With its query. */
  url: string;
  body: string;
}

export const FAKE_KEY = "sk_test_fake";
export const FAKE_SECRET = `whsec_${"a1".repeat(16)}`;
const KEY_S = 86_400;
/** Stripe's promise to a repeated key is a day long. */
interface Kept {
  request: string;
  answer: Answer;
  at: number;
}

export async function startFakeStripe(now: () => Date = () => new Date()): Promise<FakeStripe> {
  const events: StripeEvent[] = [];
  const calls: Call[] = [];
  const books = openBooks(now, (event) => events.push(event));
  const keys = new Map<string, Kept>();
  const slow: (() => void)[] = [];
  let disturb: (method: string, path: string) => Fault | undefined = () => undefined;

  async function serve(req: IncomingMessage, res: ServerResponse) {
    const { method = "", url = "" } = req;
    const { pathname: path, search } = new URL(url, "http://fake");
    const body = Buffer.concat(await Array.fromAsync(req)).toString();
    calls.push({ method, url, body });
    const fault = disturb(method, path);
    if (fault === "hang") return;
    if (fault === "busy") return send(res, refusal(429, "Too many requests hit the API too quickly."));
    if (req.headers.authorization !== `Bearer ${FAKE_KEY}`) return send(res, refusal(401, "Invalid API Key provided."));
    const key = method === "POST" ? String(req.headers["idempotency-key"] ?? "") : "";
    const request = `${path} ${body}`;
    const kept = keys.get(key);
    if (kept && now().getTime() / 1_000 - kept.at < KEY_S) {
      if (kept.request === request) return send(res, kept.answer, { "idempotent-replayed": "true" });
      const message = "Keys for idempotent requests can only be used with the same parameters.";
      return send(res, { status: 400, body: { error: { type: "idempotency_error", message } } });
    }
    const { done, begun } =
      fault === "fault-before" ? broken() : perform(method, path, method === "GET" ? search : body);
    const told = fault === "fault-after" ? broken().done : done;
    if (key && begun) keys.set(key, { request, answer: told, at: now().getTime() / 1_000 });
    if (fault === "slow") await new Promise<void>((resolve) => slow.push(resolve));
    if (fault === "cut-after") req.socket.destroy();
    else send(res, told);
  }

  function perform(method: string, path: string, parameters: string): { done: Answer; begun: boolean } {
    try {
      // As it is now: what happens to it later must not change what was answered.
      const body = structuredClone(answer(books, method, path, readForm(parameters)));
      return { done: { status: 200, body }, begun: true };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return { done: error.answer, begun: error.begun };
    }
  }

  const server = createServer((req, res) => {
    serve(req, res).catch((error: unknown) => send(res, { status: 599, body: { error: { message: String(error) } } }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a TCP server has an address with a port");
  return {
    ...books,
    url: `http://127.0.0.1:${address.port}`,
    events,
    calls,
    disturb(how) {
      disturb = how;
    },
    goOn() {
      for (const answer of slow.splice(0)) answer();
    },
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

function broken(): { done: Answer; begun: boolean } {
  return {
    done: { status: 500, body: { error: { type: "api_error", message: "An unknown error occurred" } } },
    begun: true,
  };
}

function refusal(status: number, message: string): Answer {
  return { status, body: { error: { type: "invalid_request_error", message } } };
}

function send(res: ServerResponse, { status, body }: Answer, headers: Record<string, string> = {}): void {
  res.writeHead(status, { "content-type": "application/json", "request-id": "req_fake", ...headers });
  res.end(JSON.stringify(body));
}

/** What Stripe would send: the same bytes at every delivery but for `pending_webhooks`, signed as of `at` with every secret that is in use. */
export function webhookOf(
  event: object,
  at: Date,
  secrets: string[] = [FAKE_SECRET],
): { body: string; headers: Record<string, string> } {
  const body = JSON.stringify(event, null, 2);
  return { body, headers: signedBy(secrets, body, at) };
}

export function signedBy(secrets: string[], body: string | Uint8Array, at: Date): Record<string, string> {
  const seconds = Math.floor(at.getTime() / 1_000);
  const sign = (secret: string) => createHmac("sha256", secret).update(`${seconds}.`).update(body).digest("hex");
  const signatures = secrets.map((secret) => `v1=${sign(secret)}`);
  return {
    "content-type": "application/json; charset=utf-8",
    "stripe-signature": [`t=${seconds}`, ...signatures].join(),
  };
}
