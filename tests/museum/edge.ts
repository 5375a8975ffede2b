import { createLog } from "../../packages/telemetry/log.ts";
import { readConfig } from "../../services/gateway/config.ts";
import { createGateway } from "../../services/gateway/gateway.ts";
import type { System, User } from "../kit/system.ts";

export interface Edge {
  url: string;
  grpcUrl: string;
  opsUrl: string;
  /** One REST call in somebody's name; `who` null is a stranger. */
  rest(who: User | null, call: string, body?: object, headers?: Record<string, string>): Promise<Answer>;
  close(): Promise<void>;
}

export interface Answer {
  status: number;
  headers: Headers;
  // What a test looks into is what it says it is, or the test fails.
  body: Record<string, never> & { reason?: string; violations?: { field: string }[] };
}

/** The way in, before a system under test, on free ports, with its limits on. */
export async function openEdge(system: System): Promise<Edge> {
  const { services, verifier, locks } = system.platform;
  const { metrics } = system.app("order");
  const log = createLog((line) => system.lines.push(line));
  const config = readConfig({ PORT: "0", GRPC_PORT: "0", OPS_PORT: "0" });
  const up = await createGateway({ services, verifier, locks, metrics, log, config, clock: system.clock }).listen();
  const at = (port: number) => `http://127.0.0.1:${port}`;
  const url = at(up.port);
  return {
    url,
    grpcUrl: at(up.grpcPort),
    opsUrl: at(up.opsPort),
    close: up.close,
    async rest(who, call, body, headers = {}) {
      const [method = "GET", path = "/"] = call.split(" ");
      const bearer: Record<string, string> = who ? { authorization: `Bearer ${await system.token(who)}` } : {};
      const sent = body ? { body: JSON.stringify(body) } : {};
      const json = { "content-type": "application/json" };
      const res = await fetch(url + path, { method, ...sent, headers: { ...json, ...bearer, ...headers } });
      return { status: res.status, headers: res.headers, body: (await res.json()) as Answer["body"] };
    },
  };
}
