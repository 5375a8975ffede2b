import { explainPort } from "../../database/start-error.ts";
import { sleep } from "../../time/wait.ts";
import type { InnerTls } from "../tls.ts";

/** What of Bun's server is needed to answer a request. */
export interface Server {
  /** Who sent it. */
  requestIP(req: Request): { address: string } | null;
  /** After how many silent seconds its connection ends; 0: never. */
  timeout(req: Request, seconds: number): void;
}

export interface Listener {
  port: number;
  /** Takes nothing new and lets what runs end, for a while. */
  close(): Promise<void>;
}

/** Longer than any unary call may take. */
const IDLE_SECONDS = 30;
export const GRACE_MS = 12_000;
/** Bun ends a connection whose body is longer; ours, which answers in the caller's protocol, is smaller. */
const REQUEST_BYTES_MAX = 16 * 1_048_576;

/** HTTP/1.1 and h2c on one port; 0 takes a free one. `variable` names the port in the complaint when it is taken. With `tls` only who is certified by its authority is heard. */
export function listenHttp(
  hostname: string,
  port: number,
  variable: string,
  fetch: (req: Request, server: Server) => Promise<Response>,
  tls?: InnerTls,
): Listener {
  try {
    const server = Bun.serve({
      hostname,
      port,
      http2: true,
      idleTimeout: IDLE_SECONDS,
      maxRequestBodySize: REQUEST_BYTES_MAX,
      fetch,
      ...(tls && { tls: { ...tls, requestCert: true, rejectUnauthorized: true } }),
    });
    return {
      port: server.port ?? port,
      async close() {
        const stopped = new AbortController();
        await Promise.race([server.stop(), sleep(GRACE_MS, stopped.signal)]);
        stopped.abort();
        await server.stop(true);
      },
    };
  } catch (error) {
    throw explainPort(error, hostname, port, variable);
  }
}
