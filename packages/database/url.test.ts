import { expect, test } from "bun:test";
import { databaseAt, hostsOf, readDatabaseUrl } from "./url.ts";

test.each([
  ["postgres://postgres@127.0.0.1:5432/postgres", ["127.0.0.1:5432"]],
  ["postgresql://a:b@one,two:5433,three/shop?sslmode=require", ["one", "two:5433", "three"]],
  ["postgres://a:b@[::1]:5432/shop", ["[::1]:5432"]],
  ["postgres://localhost", ["localhost"]],
])("%s has hosts %j", (url, hosts) => {
  expect(hostsOf(readDatabaseUrl("DATABASE_URL", url))).toEqual(hosts);
});

test.each([
  "elsewhere",
  "postgres:///shop",
  "mysql://a@b/c",
  "postgres://a:secret@one,,two/shop",
  "postgres://a@one:port/x",
])("%s is refused by the name of its variable, and not repeated", (url) => {
  expect(() => readDatabaseUrl("DATABASE_URL", url)).toThrow(
    "DATABASE_URL is not of the form postgres://user:password@host:port/database",
  );
});

test("another database on the same servers has its own user, and the options stay", () => {
  const url = databaseAt(
    "postgres://admin:x@one:1,two:2/postgres?sslmode=require",
    "bodega_order",
    "bodega_order",
    "p@ss/",
  );
  expect(url).toBe("postgres://bodega_order:p%40ss%2F@one:1,two:2/bodega_order?sslmode=require");
});
