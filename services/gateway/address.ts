import { BlockList, isIP } from "node:net";

/** The client's address: the socket's, or what trusted proxies in front of us say they saw. */
export type AddressOf = (socket: string, forwardedFor: string | null) => string;

export function createAddresses(trustedProxies: string[]): AddressOf {
  const trusted = new BlockList();
  for (const proxy of trustedProxies) {
    const [address = "", bits] = proxy.split("/");
    const family = familyOf(address);
    const widest = family === "ipv6" ? 128 : 32;
    if (!family || (bits !== undefined && !(/^\d{1,3}$/.test(bits) && Number(bits) <= widest))) {
      throw new Error(`TRUST_PROXY must list addresses such as 10.0.0.5 or 10.0.0.0/8, found ${proxy}`);
    }
    trusted.addSubnet(address, bits === undefined ? widest : Number(bits), family);
  }
  const isTrusted = (address: string) => {
    const family = familyOf(address);
    return family !== undefined && trusted.check(address, family);
  };
  return (socket, forwardedFor) => {
    // Each proxy appends whom it saw, so the list is believed from its end, as far as trusted proxies wrote it.
    let address = plain(socket);
    const hops = (forwardedFor ?? "").split(",").map((hop) => plain(hop.trim()));
    while (isTrusted(address) && isIP(hops.at(-1) ?? "") !== 0) address = hops.pop() ?? address;
    return address;
  };
}

/** An IPv4 address on an IPv6 socket is still that IPv4 address. */
function plain(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, "");
}

function familyOf(address: string): "ipv4" | "ipv6" | undefined {
  return ({ 4: "ipv4", 6: "ipv6" } as const)[isIP(address)];
}
