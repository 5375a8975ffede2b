import type { App } from "./app.ts";

/** Answers of a service to browsers and other outsiders that speak no RPC, such as a payment provider's webhooks. */
export interface Pages<Config = unknown> {
  /** Where they are at the edge, such as /pay/:payment_id. They are asked with GET and POST only, and may be asked twice after a broken connection. */
  paths: string[];
  serve(app: App<Config>): Web;
}

/** Of a body that a page takes: at the edge as in the service. */
export const PAGE_BYTES_MAX = 64 * 1024;

export interface Web {
  fetch(req: Request): Response | Promise<Response>;
}

/** Pages that are being served. */
export interface Served extends Web {
  paths: string[];
}

/** Opens a port of the service's own, beside the edge's, such as the mail catcher's. */
export type Listens<Config = unknown> = (app: App<Config>) => Promise<Listening>;

export interface Listening {
  banner: BannerLine;
  close(): Promise<void>;
}

/** What whoever starts Bodega wants to know, and the answer: "Mail catcher", "http://127.0.0.1:8025". */
export type BannerLine = [what: string, answer: string];

/** Host and port as they stand in a URL: an IPv6 address in brackets. */
export function authority(host: string, port: number): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}
