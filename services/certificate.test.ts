import { afterAll, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { createServer } from "node:tls";
import { createAuthority } from "../tests/kit/certificates.ts";
import { inspectCertificate } from "./certificate.ts";

const authority = createAuthority();
const { cert, key } = authority.certify("DNS:localhost");
const server = createServer({ cert, key });
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
// A server that listens on TCP has such an address.
const at = `127.0.0.1:${(server.address() as { port: number }).port}`;
afterAll(() => {
  server.close();
  authority.close();
});

const DAY_MS = 86_400_000;
const ends = new Date(new X509Certificate(cert).validTo).getTime();
const daysBefore = (days: number) => new Date(ends - days * DAY_MS);

test("a certificate is in order until two weeks before its end", async () => {
  const { figures, troubles } = await inspectCertificate(at, daysBefore(14));
  expect([figures["days"], troubles]).toEqual([14, []]);
});

test("one that ends soon, or has ended, is a trouble that says where and when", async () => {
  const says = async (now: Date) => (await inspectCertificate(at, now)).troubles.map((trouble) => trouble.says);
  expect(await says(daysBefore(13))).toEqual([`the certificate at ${at} is good for 13 days`]);
  expect(await says(daysBefore(1))).toEqual([`the certificate at ${at} is good for 1 day`]);
  expect(await says(daysBefore(-1))).toEqual([`the certificate at ${at} has run out`]);
});

test("who shows none is silent, and no certificate in order", async () => {
  await expect(inspectCertificate("127.0.0.1:1", daysBefore(30))).rejects.toThrow();
});
