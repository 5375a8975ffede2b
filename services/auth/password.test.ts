import { expect, test } from "bun:test";
import { outcomes, refusal } from "../../tests/auth-system.ts";
import commonPasswords from "./common-passwords.txt" with { type: "text" };
import { createGate, hashPassword, passwordProblem, verifyPassword } from "./password.ts";
import { networkOf } from "./throttle.ts";

test("a password is a password whatever way its letters are written, and no character of it is cut off", async () => {
  const long = "ü".repeat(128);
  const hash = await hashPassword(long);
  expect(hash).toStartWith("$argon2id$v=19$m=19456,t=2,p=1$");
  expect(await verifyPassword(long.normalize("NFD"), hash)).toBe(true);
  expect(await verifyPassword(`${"ü".repeat(127)}u`, hash)).toBe(false);
  expect(await verifyPassword("ü".repeat(72), hash)).toBe(false);
});

test("where there is no user no password is right, the thrown-away one included", async () => {
  expect(await verifyPassword("nobody has this password", undefined)).toBe(false);
});

test("common passwords, the address and its first half are refused", () => {
  for (const password of [
    "password1",
    "PASSWORD123",
    "1q2w3e4r",
    "iloveyou",
    "Summer2026",
    "annabella@example.test",
    "AnnaBella",
  ]) {
    expect(passwordProblem(password, "annabella@example.test")).toBeString();
  }
  expect(passwordProblem("three brown foxes", "annabella@example.test")).toBeUndefined();
  expect(passwordProblem("🦊".repeat(7), "a@b.test")).toBe("must have at least 8 characters, found 7");
});

test("the list of common passwords has only entries that could match", () => {
  const entries = commonPasswords.trim().split(/\s+/);
  expect(entries.length).toBeGreaterThan(1_500);
  expect(entries.filter((entry) => entry.length < 8 || entry !== entry.toLowerCase())).toEqual([]);
});

test("the gate lets two through at once, keeps the others in order, and refuses when too many wait", async () => {
  const gate = createGate(2, 3);
  const order: number[] = [];
  let running = 0;
  const open = Promise.withResolvers<void>();
  const work = (number: number) =>
    gate(async () => {
      running += 1;
      expect(running).toBeLessThanOrEqual(2);
      order.push(number);
      await open.promise;
      running -= 1;
    });
  const admitted = [1, 2, 3, 4, 5].map(work);
  expect(await refusal(work(6))).toEqual({ code: "ResourceExhausted", reason: "BUSY", retryMs: 2_000 });
  open.resolve();
  await Promise.all(admitted);
  expect(order).toEqual([1, 2, 3, 4, 5]);
});

test("work that fails gives its place back", async () => {
  const gate = createGate(1, 5);
  const fail = () => gate(() => Promise.reject(new Error("no")));
  expect(await outcomes([fail(), fail(), gate(() => Promise.resolve())])).toEqual([false, false, true]);
  await gate(() => Promise.resolve());
});

test("of an IPv6 address the first half is the network, of an IPv4 address all of it", () => {
  expect(networkOf("192.0.2.7")).toBe("192.0.2.7");
  expect(networkOf("::ffff:192.0.2.7")).toBe("192.0.2.7");
  expect(networkOf("2001:DB8:0:2:aaaa:bbbb:cccc:dddd")).toBe("2001:db8:0:2::/64");
  expect(networkOf("2001:0db8::2:0:0:0:1")).toBe("2001:db8:0:2::/64");
  expect(networkOf("2001:db8::1")).toBe("2001:db8:0:0::/64");
  expect(networkOf("::1")).toBe("0:0:0:0::/64");
  expect(networkOf("")).toBe("");
});
