import { BlockList, isIP } from "node:net";
import { networkOf, plainAddress } from "../../../packages/service/address.ts";

/** Where a request comes from: the socket, or what trusted proxies in front of us say they saw. */
export interface Origin {
  address: string;
  network: string;
  https: boolean;
}

export type OriginOf = (socket: string, header: (name: string) => string | null) => Origin;

export interface Origins {
  of: OriginOf;
  /** The network that a connection is counted for; undefined for a trusted proxy's, which carries many people's calls. */
  connecting(socket: string): string | undefined;
}

/** `ipv4Bits` is how much of an IPv4 address names a network. */
export function createOrigins(trustedProxies: string[], ipv4Bits: number): Origins {
  const isTrusted = trust(trustedProxies);
  /** Each proxy appends whom it saw, so a list is believed from its end, as far as trusted proxies wrote it. */
  function followed(socket: string, hops: string[]): string {
    let address = socket;
    const seen = [...hops];
    while (isTrusted(address)) {
      const before = plainAddress(seen.pop() ?? "");
      if (before === undefined) return address;
      address = before;
    }
    return address;
  }

  const of: OriginOf = (from, header) => {
    const socket = plainAddress(from) ?? from;
    if (!isTrusted(socket)) return { address: socket, network: networkOf(socket, ipv4Bits), https: false };
    const old = header("x-forwarded-for")
      ?.split(",")
      .map((hop) => hop.trim());
    const standard = elementsOf(header("forwarded"));
    const said = [old, standard?.map((element) => element.get("for") ?? "")].filter((hops) => hops !== undefined);
    const found = new Set(said.map((hops) => followed(socket, hops)));
    // A proxy that writes one of the headers passes the other on as the client wrote it. Where they differ, neither is believed.
    const [address = socket] = found.size === 1 ? found : [];
    const https = [lastOf(header("x-forwarded-proto")), standard?.at(-1)?.get("proto")].includes("https");
    return { address, network: networkOf(address, ipv4Bits), https };
  };
  return {
    of,
    connecting: (from) => (isTrusted(plainAddress(from) ?? from) ? undefined : networkOf(from, ipv4Bits)),
  };
}

function trust(trustedProxies: string[]): (address: string) => boolean {
  const trusted = new BlockList();
  for (const proxy of trustedProxies) {
    const [address = "", bits] = proxy.split("/");
    const family = familyOf(address);
    const widest = family === "ipv6" ? 128 : 32;
    if (!family || (bits !== undefined && !(/^\d{1,3}$/.test(bits) && Number(bits) <= widest)))
      throw new Error(`TRUSTED_PROXIES must list addresses such as 10.0.0.5 or 10.0.0.0/8, found ${proxy}`);
    trusted.addSubnet(address, bits === undefined ? widest : Number(bits), family);
  }
  return (address) => {
    const family = familyOf(address);
    return family !== undefined && trusted.check(address, family);
  };
}

/** RFC 7239: one element a proxy, each of name=value pairs. */
function elementsOf(header: string | null): Map<string, string>[] | undefined {
  return header?.split(",").map((element) => {
    const pairs = element.matchAll(/(?:^|;)\s*(\w+)=(?:"([^"]*)"|([^;"\s]*))/g);
    return new Map(Array.from(pairs, ([, name = "", quoted, bare = ""]) => [name.toLowerCase(), quoted ?? bare]));
  });
}

function lastOf(list: string | null): string {
  return list?.split(",").at(-1)?.trim().toLowerCase() ?? "";
}

function familyOf(address: string): "ipv4" | "ipv6" | undefined {
  return ({ 4: "ipv4", 6: "ipv6" } as const)[isIP(address)];
}
