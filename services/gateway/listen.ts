import type { ConnectRouter } from "@connectrpc/connect";
import { explainPort } from "../../packages/database/start-error.ts";
import { type GrpcOptions, listenGrpc } from "../../packages/service/wire/grpc.ts";
import { createOpsPages, type EdgeService } from "../../packages/service/wire/health.ts";
import { GRACE_MS, listenHttp, type Server } from "../../packages/service/wire/listen.ts";
import type { Parts } from "../../packages/telemetry/inspection.ts";
import type { Log } from "../../packages/telemetry/log.ts";
import type { Metrics } from "../../packages/telemetry/metrics.ts";
import type { FollowedTime } from "../../packages/time/followed.ts";
import type { Origins } from "./admission/origin.ts";
import type { GatewayConfig } from "./config.ts";
import { admitPlain } from "./headers.ts";
import type { Watch } from "./watch-requests.ts";

export interface Listening {
  port: number;
  grpcPort: number;
  opsPort: number;
  /** Takes nothing new, ends streams, lets running calls end, then closes. */
  close(): Promise<void>;
}

export interface ListenOptions {
  config: GatewayConfig;
  log: Log;
  metrics: Metrics;
  time?: Pick<FollowedTime, "skewMs">;
  parts?: Parts;
  services: EdgeService[];
  origins: Origins;
  watch: Watch;
  routeAll: (router: ConnectRouter) => void;
  serving: Pick<GrpcOptions, "readMaxBytes" | "jsonOptions" | "gate" | "shutdown">;
  fetch: (req: Request, server?: Server) => Promise<Response>;
  /** Asked when closing begins; nothing is closed before it has ended. */
  goDown: () => Promise<void>;
}

export async function listen(options: ListenOptions): Promise<Listening> {
  const { config, log, origins } = options;
  const hostname = config.host;
  const closers: (() => Promise<void>)[] = [];
  const close = async () => {
    await options.goDown();
    await Promise.all(closers.map((each) => each()));
  };
  try {
    const edge = listenHttp(hostname, config.port, "PORT", (req, server) => options.fetch(req, server));
    closers.push(edge.close);
    const ops = listenHttp(
      config.opsHost,
      config.opsPort,
      "OPS_PORT",
      createOpsPages(options.services, options.metrics, log, options),
    );
    closers.push(ops.close);
    const grpc = await listenGrpc(options.routeAll, {
      ...options.serving,
      hostname,
      port: config.grpcPort,
      gate: async (context) => {
        context.responseHeader.set("x-request-id", context.requestHeader.get("x-request-id") ?? "");
        await options.serving.gate?.(context);
      },
      prepare: (headers, address) => {
        const asked = { method: "POST", path: String(headers[":path"] ?? ""), contentType: "" };
        const { answered, traceparent } = options.watch(
          { ...asked, context: admitPlain(headers, address, origins.of) },
          "grpc",
        );
        headers["traceparent"] = traceparent;
        return answered;
      },
      networkOf: origins.connecting,
      failed: (error) => log.error("grpc.failed", error),
    }).catch((error: unknown) => {
      throw explainPort(error, hostname, config.grpcPort, "GRPC_PORT");
    });
    closers.push(() => grpc.close(GRACE_MS));
    return { port: edge.port, grpcPort: grpc.port, opsPort: ops.port, close };
  } catch (error) {
    await close();
    throw error;
  }
}
