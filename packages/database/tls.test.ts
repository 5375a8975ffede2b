// PostgreSQL over TLS, with an authority of the test's own: whom we talk to is checked as far as the URL says.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { type Authority, createAuthority } from "../../tests/kit/certificates.ts";
import { startTestPostgres } from "../../tests/kit/postgres.ts";
import { speakTls } from "../../tests/kit/postgres-tls.ts";
import { openDatabase } from "./database.ts";
import { readDatabaseUrl, withTls } from "./url.ts";

setDefaultTimeout(60_000);
let authority: Authority;
let stranger: Authority;
let url: string;

beforeAll(async () => {
  [authority, stranger] = [createAuthority(), createAuthority()];
  url = await startTestPostgres();
  await speakTls(url, authority);
});
afterAll(() => {
  authority.close();
  stranger.close();
});

/** Whether the connection of a URL with these options is encrypted, or why there is none. */
async function encrypted(options: string, host = "localhost"): Promise<boolean | string> {
  const at = new URL(url);
  at.hostname = host;
  const database = openDatabase(`${at.href}?${options}`, "client");
  try {
    const [row] = await database.sql<{ ssl: boolean }[]>`select ssl from pg_stat_ssl where pid = pg_backend_pid()`;
    return row?.ssl ?? "no answer";
  } catch (error) {
    return String(error);
  } finally {
    await database.close();
  }
}

const trusting = (mode: string, { caPath }: Authority = authority) => `sslmode=${mode}&sslrootcert=${caPath}`;

test("a certificate of the named authority for the named host is accepted", async () => {
  expect(await encrypted(trusting("verify-full"))).toBe(true);
  expect(await encrypted(`sslrootcert=${authority.caPath}`)).toBe(true);
  expect(await encrypted("sslmode=disable")).toBe(false);
});

test("one of another authority is refused, and one for another host, unless the URL does not ask for that", async () => {
  for (const mode of ["verify-full", "verify-ca"])
    expect(await encrypted(trusting(mode, stranger))).toMatch(/certificate|verify|issuer/i);
  expect(await encrypted("sslmode=verify-full")).toMatch(/certificate|verify|issuer/i);
  expect(await encrypted(trusting("verify-full"), "127.0.0.1")).toMatch(/altname|hostname|IP/i);
  expect(await encrypted(trusting("verify-ca"), "127.0.0.1")).toBe(true);
  expect(await encrypted("sslmode=require", "127.0.0.1")).toBe(true);
});

test("our own certificate is shown to who asks for it", async () => {
  const { certPath, keyPath } = authority.certify("DNS:bodega_order");
  const options = `${trusting("verify-full")}&sslcert=${certPath}&sslkey=${keyPath}`;
  const database = openDatabase(`${url.replace("127.0.0.1", "localhost")}?${options}`, "client");
  const [row] = await database.sql`select client_serial from pg_stat_ssl where pid = pg_backend_pid()`;
  expect(row?.["client_serial"]).not.toBeNull();
  await database.close();
});

test("what makes no sense is refused at the start, by the name of the variable", () => {
  const read = (options: string) => () => readDatabaseUrl("DATABASE_URL", `postgres://a:secret@b/c?${options}`);
  expect(read("sslmode=always")).toThrow("DATABASE_URL: sslmode must be disable, require, verify-ca or verify-full");
  expect(read("sslmode=verify-full&sslrootcert=/nowhere/ca.crt")).toThrow(/DATABASE_URL: .*ENOENT/);
});

test("other options of a URL stay, and one without any is left as it is", () => {
  expect(withTls("postgres://a@b/c?sslmode=require&options=-c%20x%3D1").url).toBe("postgres://a@b/c?options=-c+x%3D1");
  expect(withTls("postgres://a@b/c")).toEqual({ url: "postgres://a@b/c" });
});
