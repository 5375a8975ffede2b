import { isIP } from "node:net";

/** The groups of a /64, which one customer has all of. */
const NETWORK_GROUPS = 4;

/** An address in its one spelling: without brackets, port and zone, of IPv6 all groups; an IPv4 address on an IPv6 socket is that IPv4 address. Undefined for what is none. */
export function plainAddress(text: string): string | undefined {
  const bare = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(text)?.[1] ?? /^([\d.]+):\d{1,5}$/.exec(text)?.[1] ?? text;
  const address = bare.split("%")[0] ?? "";
  if (isIP(address) !== 6) return isIP(address) === 4 ? address : undefined;
  const groups = groupsOf(address);
  const [high = 0, low = 0] = groups.slice(6).map((group) => Number.parseInt(group, 16));
  const mapped = groups.slice(0, 5).every((group) => group === "0") && groups[5] === "ffff";
  return mapped ? [high >> 8, high & 255, low >> 8, low & 255].join(".") : groups.join(":");
}

/** The network that limits count by: of IPv6 the /64, of IPv4 the first `ipv4Bits` of 32. An address that is none is a network of its own. */
export function networkOf(text: string, ipv4Bits = 32): string {
  const address = plainAddress(text);
  if (address === undefined) return text;
  if (address.includes(":")) return `${address.split(":").slice(0, NETWORK_GROUPS).join(":")}::/64`;
  if (ipv4Bits === 32) return address;
  const bytes = address.split(".").map(Number);
  const kept = bytes.map((byte, at) => byte & (0xff00 >> Math.min(8, Math.max(0, ipv4Bits - 8 * at))) & 255);
  return `${kept.join(".")}/${ipv4Bits}`;
}

/** Whether only this machine reaches what listens on `host`. */
export function isLoopback(host: string): boolean {
  const address = plainAddress(host);
  return host === "localhost" || address === "0:0:0:0:0:0:0:1" || (address?.startsWith("127.") ?? false);
}

/** All eight, without leading zeros. */
function groupsOf(address: string): string[] {
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  const [, head = "", a, b, c, d] = dotted ?? [];
  const pair = (high: string | undefined, low: string | undefined) => ((Number(high) << 8) | Number(low)).toString(16);
  const [left = "", right] = (dotted ? `${head}${pair(a, b)}:${pair(c, d)}` : address).toLowerCase().split("::");
  const parts = (text: string) => (text ? text.split(":").map((group) => group.replace(/^0+(?=.)/, "")) : []);
  const [before, after] = [parts(left), parts(right ?? "")];
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => "0");
  return [...before, ...zeros, ...after];
}
