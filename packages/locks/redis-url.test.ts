import { expect, test } from "bun:test";
import { readRedisUrl } from "./redis-url.ts";

const PLAIN = { username: "", password: "", db: 0, tls: false };

test("one address is one server, with its database, user and password", () => {
  expect(readRedisUrl("redis://cache")).toEqual({ ...PLAIN, nodes: [{ host: "cache", port: 6379 }] });
  expect(readRedisUrl("rediss://ann:p%40ss%2Cw@[::1]:7000/3")).toEqual({
    nodes: [{ host: "::1", port: 7000 }],
    username: "ann",
    password: "p@ss,w",
    db: 3,
    tls: true,
  });
});

test("several addresses are one Cluster", () => {
  expect(readRedisUrl("redis://:secret@a:1, redis://:secret@b:2/")).toEqual({
    ...PLAIN,
    password: "secret",
    nodes: [
      { host: "a", port: 1 },
      { host: "b", port: 2 },
    ],
  });
});

for (const [text, says] of [
  ["", "REDIS_URL must be"],
  ["cache:6379", "REDIS_URL must be"],
  ["http://:secret@cache", "REDIS_URL must be"],
  ["redis://:secret@a:1,", "REDIS_URL must be"],
  ["redis://:secret@a/zero", "database must be a number"],
  ["redis://ann:12/secret@a", "database must be a number"],
  ["redis://:secret%@a", "is written %xx"],
  ["redis://:secret@a:1/1,redis://:secret@b:2/1", "only database 0"],
  ["redis://:secret@a:1,redis://b:2", "same scheme, user and password"],
  ["redis://:secret@a:1,rediss://:secret@b:2", "same scheme, user and password"],
] as const) {
  test(`${JSON.stringify(text)} is refused, without telling its password`, () => {
    expect(() => readRedisUrl(text)).toThrow(says);
    expect(() => readRedisUrl(text)).not.toThrow("secret");
  });
}
