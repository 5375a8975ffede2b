import type { ConnectRouter } from "@connectrpc/connect";
import { explainPort } from "../../packages/database/start-error.ts";
import { type GrpcOptions, listenGrpc } from "../../packages/service/grpc.ts";
import { GRACE_MS, listenHttp, type Server } from "../../packages/service/listen.ts";
import type { Log } from "../../packages/telemetry/log.ts";
import type { Metrics } from "../../packages/telemetry/metrics.ts";
import type { GatewayConfig } from "./config.ts";
import { type AddressOf, admitPlain } from "./headers.ts";
import { createOpsPages, type EdgeService } from "./health.ts";

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
  services: EdgeService[];
  addressOf: AddressOf;
  routeAll: (router: ConnectRouter) => void;
  serving: Pick<GrpcOptions, "readMaxBytes" | "jsonOptions" | "gate" | "shutdown">;
  fetch: (req: Request, server?: Server) => Promise<Response>;
  /** Called when closing begins. */
  down: () => void;
}

export async function listen(options: ListenOptions): Promise<Listening> {
  const { config, log, addressOf } = options;
  const hostname = config.host;
  const closers: (() => Promise<void>)[] = [];
  const close = async () => {
    options.down();
    await Promise.all(closers.map((each) => each()));
  };
  try {
    const edge = listenHttp(hostname, config.port, "PORT", (req, server) => options.fetch(req, server));
    closers.push(edge.close);
    const ops = listenHttp(
      hostname,
      config.opsPort,
      "OPS_PORT",
      createOpsPages(options.services, options.metrics, log),
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
      prepare: (headers, address) => admitPlain(headers, address, addressOf),
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
