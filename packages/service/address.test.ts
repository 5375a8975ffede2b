import { expect, test } from "bun:test";
import { isLoopback, networkOf, plainAddress } from "./address.ts";

test("an address has one spelling, with brackets, port, zone or none of them", () => {
  for (const [written, plain] of [
    ["192.0.2.7", "192.0.2.7"],
    ["192.0.2.7:8080", "192.0.2.7"],
    ["::ffff:192.0.2.7", "192.0.2.7"],
    ["::FFFF:c000:207", "192.0.2.7"],
    ["[::ffff:192.0.2.7]:443", "192.0.2.7"],
    ["2001:DB8::1", "2001:db8:0:0:0:0:0:1"],
    ["[2001:0db8::1]", "2001:db8:0:0:0:0:0:1"],
    ["[2001:db8::1]:8443", "2001:db8:0:0:0:0:0:1"],
    ["fe80::1%eth0", "fe80:0:0:0:0:0:0:1"],
    ["::", "0:0:0:0:0:0:0:0"],
    ["64:ff9b::192.0.2.7", "64:ff9b:0:0:0:0:c000:207"],
  ])
    expect([written, plainAddress(written ?? "")]).toEqual([written, plain]);
});

test("what is no address is none", () => {
  for (const text of [
    "",
    "unknown",
    "_hidden",
    "192.0.2",
    "192.0.2.7.8",
    "[192.0.2.7",
    "2001:db8::1:8443x",
    "1.2.3.4:",
    "localhost",
  ])
    expect([text, plainAddress(text)]).toEqual([text, undefined]);
});

test("of an IPv6 address the first half is the network, of an IPv4 address as much as is asked for", () => {
  expect(networkOf("192.0.2.7")).toBe("192.0.2.7");
  expect(networkOf("::ffff:192.0.2.7")).toBe("192.0.2.7");
  expect(networkOf("192.0.2.7", 24)).toBe("192.0.2.0/24");
  expect(networkOf("192.0.255.7", 20)).toBe("192.0.240.0/20");
  expect(networkOf("203.0.2.7", 8)).toBe("203.0.0.0/8");
  expect(networkOf("2001:DB8:0:2:aaaa:bbbb:cccc:dddd")).toBe("2001:db8:0:2::/64");
  expect(networkOf("2001:0db8::2:0:0:0:1")).toBe("2001:db8:0:2::/64");
  expect(networkOf("2001:db8::1")).toBe("2001:db8:0:0::/64");
  expect(networkOf("::1")).toBe("0:0:0:0::/64");
  expect(networkOf("")).toBe("");
});

test("loopback is this machine alone", () => {
  for (const host of ["127.0.0.1", "127.8.8.8", "localhost", "::1", "[::1]", "::ffff:127.0.0.1"])
    expect(isLoopback(host)).toBe(true);
  for (const host of ["0.0.0.0", "::", "10.0.0.1", "128.0.0.1", "example.test", ""])
    expect(isLoopback(host)).toBe(false);
});
