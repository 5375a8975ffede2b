import { exposedBy, privateHost } from "../../packages/service/exposure.ts";
import {
  basePathOf,
  type Environment,
  readBaseUrl,
  readDuration,
  readPort,
  readSwitch,
} from "../../packages/service/variables.ts";

export interface GatewayConfig {
  /** Loopback unless HOST says otherwise. */
  host: string;
  /** 0 takes a free one, here and below. */
  port: number;
  grpcPort: number;
  opsPort: number;
  /** Where operators are listened to: this machine, unless OPS_HOST says otherwise. */
  opsHost: string;
  /** Whether generic clients are told the schema. */
  reflection: boolean;
  /** The path of PUBLIC_URL, such as /shop: links begin with it, and requests may. */
  basePath: string;
  rateLimits: boolean;
  /** host:port where callers are shown a certificate, whose end is looked at. */
  certificateAt?: string;
  /** Whom to tell of a way in; empty: nobody is named. */
  securityContact: string;
  /** Origins whose pages may call; "*" is all of them. Credentials never go along: tokens are sent by name. */
  corsOrigins: string[];
  /** Addresses and CIDR ranges of proxies whose X-Forwarded-For or Forwarded is believed. */
  trustedProxies: string[];
  /** For so long it says that it goes down, and answers all the same. */
  drainMs: number;
  /** How many bits of an IPv4 address name the network that limits count by; of IPv6 it is always the /64. */
  ipv4NetworkBits: number;
}

export function readConfig(env: Environment): GatewayConfig {
  return {
    host: env["HOST"] || "127.0.0.1",
    port: readPort(env, "PORT", 8080),
    grpcPort: readPort(env, "GRPC_PORT", 50051),
    opsPort: readPort(env, "OPS_PORT", 9091),
    opsHost: privateHost(env, env["OPS_HOST"]),
    reflection: readSwitch(env, "REFLECTION", exposedBy(env) === undefined),
    basePath: basePathOf(readBaseUrl(env, "PUBLIC_URL", "http://127.0.0.1")),
    rateLimits: readSwitch(env, "RATE_LIMITS", true),
    ...readCertificateAt(env["CERTIFICATE_AT"] ?? ""),
    securityContact: readContact(env["SECURITY_CONTACT"] ?? ""),
    corsOrigins: readList(env["CORS_ORIGINS"] || "*"),
    trustedProxies: readList(env["TRUSTED_PROXIES"] ?? ""),
    drainMs: readDuration(env, "DRAIN_TIME", 0) ?? 0,
    ipv4NetworkBits: readBits(env["NETWORK_BITS"] || "24"),
  };
}

function readCertificateAt(at: string): Pick<GatewayConfig, "certificateAt"> {
  if (!at) return {};
  if (!URL.canParse(`https://${at}`) || !/^[^/?#@]+:\d+$/.test(at))
    throw new Error(`CERTIFICATE_AT must be of the form host:port, found ${at}`);
  return { certificateAt: at };
}

function readContact(text: string): string {
  if (text && !/^(?:mailto:|https:\/\/|tel:)[!-~]+$/.test(text))
    throw new Error(`SECURITY_CONTACT must be of the form mailto:…, https://… or tel:…, found ${text}`);
  return text;
}

function readBits(text: string): number {
  const bits = Number(text);
  if (!Number.isInteger(bits) || bits < 8 || bits > 32)
    throw new Error(`NETWORK_BITS must be a number from 8 to 32, found ${text}`);
  return bits;
}

function readList(text: string): string[] {
  return text
    .split(",")
    .map((each) => each.trim())
    .filter((each) => each !== "");
}
