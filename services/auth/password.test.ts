import { expect, test } from "bun:test";
import commonPasswords from "./common-passwords.txt" with { type: "text" };
import { hashPassword, OURS, passwordProblem, verifyPassword } from "./password.ts";

test("a password is a password whatever way its letters are written, and no character of it is cut off", async () => {
  const long = "ü".repeat(128);
  const hash = await hashPassword(long, new Uint8Array(16), OURS);
  expect(hash).toStartWith("$argon2id$v=19$m=19456,t=2,p=1$");
  expect(await verifyPassword(long.normalize("NFD"), hash, OURS)).toBe(true);
  expect(await verifyPassword(`${"ü".repeat(127)}u`, hash, OURS)).toBe(false);
  expect(await verifyPassword("ü".repeat(72), hash, OURS)).toBe(false);
});

test("where there is no user no password is right, the thrown-away one included", async () => {
  expect(await verifyPassword("nobody has this password", undefined, OURS)).toBe(false);
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
