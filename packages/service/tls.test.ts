import { afterAll, expect, test } from "bun:test";
import { createAuthority } from "../../tests/kit/certificates.ts";
import { readInnerTls, readTls } from "./tls.ts";

const authority = createAuthority();
afterAll(authority.close);
const NOW = new Date();

test("what is no certificate, or no key of it, stops the start by the name of the variable", () => {
  const { cert, key } = authority.certify("DNS:bodega");
  const other = authority.certify("DNS:other").key;
  expect(readTls({ TLS_CA: authority.ca, TLS_CERT: cert, TLS_KEY: key })).toEqual({ ca: authority.ca, cert, key });
  expect(readTls({})).toEqual({});
  expect(() => readTls({ TLS_CA: "hidden" })).toThrow(/^TLS_CA must be certificates in PEM/);
  expect(() => readTls({ TLS_CERT: cert })).toThrow("TLS_CERT and TLS_KEY: set both or neither");
  expect(() => readTls({ TLS_CERT: cert, TLS_KEY: "hidden" })).toThrow(/^TLS_KEY must be a private key in PEM/);
  expect(() => readTls({ TLS_CERT: cert, TLS_KEY: other })).toThrow("TLS_KEY is not the key of TLS_CERT");
});

test("processes talk over TLS to each other only when all is there that both sides show and check", () => {
  const { cert, key } = authority.certify("DNS:order");
  const files = { TLS_CA: authority.ca, TLS_CERT: cert, TLS_KEY: key };
  expect(readInnerTls(files, NOW)).toBeUndefined();
  expect(readInnerTls({ ...files, INNER_TLS: "on" }, NOW)).toEqual({ ca: authority.ca, cert, key });
  for (const missing of Object.keys(files))
    expect(() => readInnerTls({ ...files, INNER_TLS: "on", [missing]: "" }, NOW)).toThrow("INNER_TLS=on needs TLS_CA");
});

test("a certificate that is over stops the start, and says since when", () => {
  const { cert, key } = authority.certifyFormer("DNS:order");
  const env = { TLS_CA: authority.ca, TLS_CERT: cert, TLS_KEY: key, INNER_TLS: "on" };
  expect(() => readInnerTls(env, NOW)).toThrow(/^TLS_CERT is over since 20\d\d-.*: with INNER_TLS=on nobody takes it/);
});
