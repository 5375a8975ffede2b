import type { DescService } from "@bufbuild/protobuf";
import { type Client, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { fetchWithin } from "./deadlines.ts";
import { asRefusal, isSafe, isUnauthenticated, pauseBefore, sleep } from "./retry.ts";

/** The edge lets a call take ten seconds: what has not answered by then hangs. */
const CALL_MS = 15_000;
/** A stream that has nothing to tell says so every ten seconds. */
const SILENCE_MS = 30_000;

export interface EdgeOptions {
  /** Such as http://127.0.0.1:8080. */
  url: string;
  /**
   * The caller's access token, asked for before each attempt; undefined for nobody. When the edge does not accept one, it is asked for another,
   * once, with the one that was `refused`.
   */
  token?: (refused?: string) => Promise<string | undefined>;
  /** For one attempt of a call. */
  callMs?: number;
  /** How long a stream may say nothing, heartbeats included. */
  silenceMs?: number;
  /** A connection of its own for each call: behind a proxy each may reach another instance. */
  newConnections?: boolean;
}

export interface Edge {
  url: string;
  /** A typed client of one service. */
  call<S extends DescService>(service: S): Client<S>;
}

/**
 * The public surface for programs: Connect over fetch. A call that reads, or carries a request_id, is repeated a few times while the edge is away or busy,
 * under the same request_id; any other is sent once. What fails, the network too, fails with a ConnectError.
 */
export function openEdge({ url, token, newConnections = false, ...deadlines }: EdgeOptions): Edge {
  const transport = createConnectTransport({
    baseUrl: url,
    useBinaryFormat: true,
    interceptors: [again(url), ...(token ? [authorized(token)] : [])],
    fetch: fetchWithin({ callMs: CALL_MS, silenceMs: SILENCE_MS, ...deadlines }, { keepalive: !newConnections }),
  });
  return { url, call: (service) => createClient(service, transport) };
}

const again =
  (url: string): Interceptor =>
  (next) =>
  async (req) => {
    const began = performance.now();
    for (let attempts = 1; ; attempts += 1) {
      try {
        return await next(req);
      } catch (error) {
        const refusal = asRefusal(error, url);
        const pause = isSafe(req) ? pauseBefore(refusal, attempts, performance.now() - began) : undefined;
        if (pause === undefined || req.signal.aborted) throw refusal;
        await sleep(pause, req.signal);
      }
    }
  };

const authorized =
  (token: NonNullable<EdgeOptions["token"]>): Interceptor =>
  (next) =>
  async (req) => {
    const sent = await token();
    if (sent === undefined) return next(req);
    req.header.set("authorization", `Bearer ${sent}`);
    try {
      return await next(req);
    } catch (error) {
      if (!isUnauthenticated(error)) throw error;
      // Nothing was done in nobody's name, so whatever it was, it may be asked once more in somebody's.
      const fresh = await token(sent);
      if (fresh === undefined || fresh === sent) throw error;
      req.header.set("authorization", `Bearer ${fresh}`);
      return next(req);
    }
  };
