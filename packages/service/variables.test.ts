import { expect, test } from "bun:test";
import { readPort, readSecret, readSwitch } from "./variables.ts";

test.each([{}, { NAME: undefined }, { NAME: "" }])("in %j NAME is unset", (env) => {
  expect(readPort(env, "NAME", 8080)).toBe(8080);
  expect([readSwitch(env, "NAME", true), readSwitch(env, "NAME", false)]).toEqual([true, false]);
  expect(readSecret(env, "NAME")).toBeUndefined();
});

test("a switch is on or off, and nothing else", () => {
  expect(readSwitch({ NAME: "on" }, "NAME", false)).toBe(true);
  expect(readSwitch({ NAME: "off" }, "NAME", true)).toBe(false);
  for (const NAME of ["yes", "ON", "true", " on"])
    expect(() => readSwitch({ NAME }, "NAME", true)).toThrow(`NAME must be on or off, found ${NAME}`);
});

test("a port is one that can be listened on, or 0", () => {
  expect([readPort({ NAME: "0" }, "NAME", 1), readPort({ NAME: "65535" }, "NAME", 1)]).toEqual([0, 65_535]);
  for (const NAME of ["65536", "http", "-1", "80.5", "000080"])
    expect(() => readPort({ NAME }, "NAME", 1)).toThrow(`NAME must be a port from 0 to 65535, found ${NAME}`);
});

test("a secret is long, and no error repeats it", () => {
  const long = "0123456789abcdef0123456789abcdef";
  expect(readSecret({ NAME: long }, "NAME")).toBe(long);
  expect(() => readSecret({ NAME: long.slice(1) }, "NAME")).toThrow(
    /^NAME must have at least 32 characters, found 31$/,
  );
});
