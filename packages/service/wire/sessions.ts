import { constants, type Http2Server, type Http2ServerRequest, type ServerHttp2Session } from "node:http2";
import { sleep } from "../../time/wait.ts";
import { createOpenLimit } from "./open-limit.ts";

/** What one client of the gRPC port may hold, and for how long. */
export interface SessionBounds {
  /** Announced in SETTINGS. */
  streamsMax: number;
  /** A connection's first call comes within this time. */
  firstCallMs: number;
  /** A call's request is whole within this time; for streams of requests too. */
  requestMs: number;
  /** A connection without any traffic is ended. Streams beat every ten seconds, so theirs live on. */
  idleMs: number;
  perNetworkMax: number;
  /** Below what a process may open, with room for the other ports and for health. */
  sessionsMax: number;
}

export const SESSION_BOUNDS: SessionBounds = {
  streamsMax: 100,
  firstCallMs: 10_000,
  requestMs: 30_000,
  idleMs: 60_000,
  perNetworkMax: 64,
  sessionsMax: 1_000,
};

/** Keeps clients within the bounds; one that is not has its connection cut. `networkOf` is undefined for a proxy, whose connections are many people's. */
export function boundSessions(
  server: Http2Server,
  bounds: SessionBounds,
  networkOf: (address: string) => string | undefined,
): Set<ServerHttp2Session> {
  const limit = createOpenLimit(bounds.perNetworkMax, bounds.sessionsMax);
  const limitOfProxies = createOpenLimit(bounds.sessionsMax, bounds.sessionsMax);
  const open = new Set<ServerHttp2Session>();
  server.on("session", (session) => {
    const network = networkOf(session.socket?.remoteAddress ?? "");
    const giveBack = network === undefined ? limitOfProxies.take("") : limit.take(network);
    if (!giveBack) return session.destroy();
    open.add(session);
    const called = new AbortController();
    session.once("close", () => {
      open.delete(session);
      giveBack();
      called.abort();
    });
    session.once("stream", () => called.abort());
    session.setTimeout(bounds.idleMs, () => session.destroy());
    void sleep(bounds.firstCallMs, called.signal).then(() => {
      if (!called.signal.aborted) session.destroy();
    });
  });
  // Broken frames are a client's doing: its connection ends, and a stranger cannot fill the log.
  server.on("sessionError", (_, session) => session.destroy());
  return open;
}

/** Ends a call whose request is not whole in time. */
export function boundRequest({ stream }: Http2ServerRequest, requestMs: number): void {
  const over = new AbortController();
  stream.once("close", () => over.abort());
  void sleep(requestMs, over.signal).then(() => {
    // Whether it has come whole, which is not whether the handler has read it: `complete` would be.
    if (!over.signal.aborted && !stream.state.remoteClose) stream.close(constants.NGHTTP2_CANCEL);
  });
}
