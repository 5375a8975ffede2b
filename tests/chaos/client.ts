import { type DescMessage, fromJson, type JsonValue, type MessageShape } from "@bufbuild/protobuf";
import type { Dice } from "./dice.ts";

/** A customer's program that does what it is told to: it asks again, with the same key, until it is answered. */
export interface Client {
  ask<M extends DescMessage>(reply: M, call: Call): Promise<Answer<M>>;
  /** Posts a form until a page answers. */
  submit(url: string, fields: Record<string, string>): Promise<void>;
  /** Late is what a service gave up by itself, because it took too long. */
  tries: { asked: number; unanswered: number; unavailable: number; late: number };
  /** Each try by itself, in the order in which they ended. */
  attempts: Attempt[];
  /** Answers that no client should ever see: a bug, and not "come back later". */
  unexpected: string[];
}

export interface Attempt {
  /** Such as "POST /v1/orders". */
  what: string;
  /** Milliseconds of the machine's clock. */
  endedAt: number;
  /** Since the call that it belongs to began: what a customer has waited for so far. */
  waitedMs: number;
  failed: boolean;
  /** Its status and how its text begins, where it has to be asked again; null where it need not. */
  turnedAway: string | null;
}

export interface Call {
  method: "GET" | "POST";
  path: string;
  token?: string;
  body?: Record<string, JsonValue>;
}

export type Answer<M extends DescMessage> =
  | { ok: true; message: MessageShape<M> }
  | { ok: false; status: number; reason: string; detail: string };

export interface ClientOptions {
  answerMsMax?: number;
  /** How long it asks again at most. */
  patienceMs?: number;
  /** Whom it believes. */
  ca?: string;
  /** A connection for each request. What is kept open may be closed by the other side just as it is used again; browsers hide that. */
  fresh?: boolean;
  /** What stands before the edge says so when a gateway died without an answer: nobody knows what became of the request. */
  badGateway?: number;
}

const ANSWER_MS_MAX = 5_000;
const PAUSE_MS_MIN = 100;
const PAUSE_MS_MAX = 600;
/** An outage is some seconds long. */
const PATIENCE_MS = 150_000;

export function createClient(
  base: string,
  dice: Dice,
  { answerMsMax = ANSWER_MS_MAX, patienceMs = PATIENCE_MS, ca, fresh = false, badGateway }: ClientOptions = {},
): Client {
  const tries = { asked: 0, unanswered: 0, unavailable: 0, late: 0 };
  const attempts: Attempt[] = [];
  const unexpected: string[] = [];

  /** Gives back the first answer that is one. */
  async function send(url: string, init: () => BunFetchRequestInit): Promise<{ status: number; text: string }> {
    const met: string[] = [];
    const began = Date.now();
    for (const patience = AbortSignal.timeout(patienceMs); !patience.aborted; ) {
      tries.asked += 1;
      const how = { keepalive: !fresh, ...(ca && { tls: { ca } }), signal: AbortSignal.timeout(answerMsMax) };
      const asked = { ...init(), ...how };
      const answer = await attempt(url, asked);
      const failed = typeof answer === "string" || answer.status >= 500;
      const said = typeof answer === "string" ? `nothing: ${answer}` : `${answer.status} ${answer.text.slice(0, 200)}`;
      const turnedAway = failed || comesBack(answer) ? said : null;
      const endedAt = Date.now();
      attempts.push({ what: `${asked.method} ${pathOf(url)}`, endedAt, waitedMs: endedAt - began, failed, turnedAway });
      met.push(said);
      if (typeof answer === "string" || answer.status === badGateway) tries.unanswered += 1;
      else if (answer.status === 504) tries.late += 1;
      else if (comesBack(answer)) tries.unavailable += 1;
      else if (answer.status >= 500) unexpected.push(`${url} answered ${answer.status}: ${answer.text.slice(0, 300)}`);
      else return answer;
      await Bun.sleep(dice.between(PAUSE_MS_MIN, PAUSE_MS_MAX));
    }
    throw new Error(`${url} did not answer within ${patienceMs} ms, but: ${met.slice(-5).join("; ")}`);
  }

  return {
    tries,
    attempts,
    unexpected,
    async ask(reply, { method, path, token, body }) {
      const { status, text } = await send(base + path, () => ({
        method,
        headers: { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) },
        ...(body && { body: JSON.stringify(body) }),
      }));
      const json: JsonValue = JSON.parse(text);
      if (status === 200) return { ok: true, message: fromJson(reply, json) };
      return { ok: false, status, reason: field(json, "reason"), detail: field(json, "detail") };
    },
    async submit(url, fields) {
      const { status, text } = await send(url, () => ({ method: "POST", body: new URLSearchParams(fields) }));
      if (status !== 200) throw new Error(`${url} answered ${status}: ${text}`);
    },
  };
}

/** Why there was no whole answer, where there was none: nobody knows what became of the request. */
async function attempt(url: string, init: BunFetchRequestInit): Promise<{ status: number; text: string } | string> {
  try {
    const response = await fetch(url, init);
    return { status: response.status, text: await response.text() };
  } catch (error) {
    // Refused, reset and timed out are all one to a client; anything else is a mistake in this file.
    if (error instanceof DOMException) return error.name;
    if (error instanceof Error && "code" in error) return String(error.code);
    throw error;
  }
}

function pathOf(url: string): string {
  return new URL(url).pathname;
}

/** 503, and a twin that is still being answered: ask again. */
function comesBack({ status, text }: { status: number; text: string }): boolean {
  return status === 503 || (status === 409 && text.includes('"aborted"'));
}

function field(json: JsonValue, name: string): string {
  const value = json !== null && typeof json === "object" && !Array.isArray(json) ? json[name] : undefined;
  return typeof value === "string" ? value : "";
}

/** What must not be refused. */
export async function must<M extends DescMessage>(answer: Promise<Answer<M>>): Promise<MessageShape<M>> {
  const said = await answer;
  if (said.ok) return said.message;
  throw new Error(`refused with ${said.status} ${said.reason}: ${said.detail}`);
}
