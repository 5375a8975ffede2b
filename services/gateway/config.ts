import { readPort, readSwitch } from "../../packages/service/variables.ts";

export interface GatewayConfig {
  /** Loopback unless HOST says otherwise. */
  host: string;
  /** 0 takes a free one, here and below. */
  port: number;
  grpcPort: number;
  opsPort: number;
  rateLimits: boolean;
  /** Origins whose pages may call; "*" is all of them. Credentials never go along: tokens are sent by name. */
  corsOrigins: string[];
  /** Addresses and CIDR ranges of proxies whose X-Forwarded-For is believed. */
  trustedProxies: string[];
}

export function readConfig(env: Record<string, string | undefined>): GatewayConfig {
  return {
    host: env["HOST"] || "127.0.0.1",
    port: readPort(env, "PORT", 8080),
    grpcPort: readPort(env, "GRPC_PORT", 50051),
    opsPort: readPort(env, "OPS_PORT", 9091),
    rateLimits: readSwitch(env, "RATE_LIMITS", true),
    corsOrigins: readList(env["CORS_ORIGINS"] || "*"),
    trustedProxies: readList(env["TRUST_PROXY"] ?? ""),
  };
}

function readList(text: string): string[] {
  return text
    .split(",")
    .map((each) => each.trim())
    .filter((each) => each !== "");
}
