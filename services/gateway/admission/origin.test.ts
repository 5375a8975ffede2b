import { describe, expect, test } from "bun:test";
import { createOrigins } from "./origin.ts";

const PROXY = "10.0.0.7";
const origins = createOrigins(["10.0.0.0/8", "fd00::/8"], 24);
const seen = (headers: Record<string, string>, socket = PROXY) => origins.of(socket, (name) => headers[name] ?? null);

describe("behind a trusted proxy", () => {
  test.each<[string, Record<string, string>, string]>([
    ["a plain list", { "x-forwarded-for": "6.6.6.6, 203.0.113.9, 10.0.0.9" }, "203.0.113.9"],
    ["with a port", { "x-forwarded-for": "203.0.113.9:51234" }, "203.0.113.9"],
    ["IPv6", { "x-forwarded-for": "2001:db8::9" }, "2001:db8:0:0:0:0:0:9"],
    ["IPv6 in brackets, with a port", { "x-forwarded-for": "[2001:db8::9]:51234" }, "2001:db8:0:0:0:0:0:9"],
    ["an IPv4 address on an IPv6 socket", { "x-forwarded-for": "::ffff:203.0.113.9" }, "203.0.113.9"],
    ["through a proxy with an IPv6 address", { "x-forwarded-for": "203.0.113.9, [fd00::1]:80" }, "203.0.113.9"],
    ["RFC 7239", { forwarded: "for=6.6.6.6, for=203.0.113.9;proto=https;by=10.0.0.7" }, "203.0.113.9"],
    ["RFC 7239, quoted IPv6", { forwarded: 'proto=http;For="[2001:db8::9]:51234"' }, "2001:db8:0:0:0:0:0:9"],
    ["both headers, of one mind", { forwarded: "for=203.0.113.9", "x-forwarded-for": "203.0.113.9:9" }, "203.0.113.9"],
  ])("%s", (_, headers, address) => {
    expect(seen(headers).address).toBe(address);
  });

  test.each<[string, Record<string, string>]>([
    [
      "both headers, not of one mind: one of them is the client's own",
      { forwarded: "for=6.6.6.6", "x-forwarded-for": "203.0.113.9" },
    ],
    ["a hidden client", { forwarded: "for=_hidden" }],
    ["nonsense", { "x-forwarded-for": "203.0.113.9, unknown" }],
    ["nothing", {}],
  ])("%s: the proxy's own address counts", (_, headers) => {
    expect(seen(headers).address).toBe(PROXY);
  });

  test("TLS is its word too", () => {
    for (const headers of [{ "x-forwarded-proto": "https" }, { forwarded: "for=1.2.3.4;proto=https" }])
      expect(seen(headers).https).toBe(true);
    expect(seen({ "x-forwarded-proto": "http" }).https).toBe(false);
  });
});

test("nobody else is believed, about nothing", () => {
  const headers = { "x-forwarded-for": "6.6.6.6", forwarded: "for=6.6.6.6", "x-forwarded-proto": "https" };
  expect(seen(headers, "::ffff:203.0.113.9")).toEqual({
    address: "203.0.113.9",
    network: "203.0.113.0/24",
    https: false,
  });
});

test("all addresses of one network are one, however they are written", () => {
  const networks = ["[2001:db8:0:1::1]:80", "2001:DB8:0:1:ffff::2", "2001:0db8:0000:0001::%eth0"].map(
    (hop) => seen({ "x-forwarded-for": hop }).network,
  );
  expect(new Set(networks)).toEqual(new Set(["2001:db8:0:1::/64"]));
});
