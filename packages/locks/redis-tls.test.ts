// Redis over TLS, with an authority of the test's own.
import { afterAll, beforeAll, expect, setDefaultTimeout } from "bun:test";
import { randomUUID } from "node:crypto";
import type { SecureContextOptions } from "node:tls";
import { freePort } from "../../scripts/copy/ports.ts";
import { type Authority, createAuthority } from "../../tests/kit/certificates.ts";
import { NO_REDIS, type RedisServer, startRedis } from "../../tests/kit/servers/redis.ts";
import { testUnless } from "../../tests/kit/test-unless.ts";
import { createLog } from "../telemetry/log.ts";
import { createRedisLocks } from "./redis.ts";
import { readRedisUrl } from "./redis-url.ts";

setDefaultTimeout(60_000);
const withRedis = testUnless(NO_REDIS);
const [authority, stranger]: [Authority, Authority] = [createAuthority(), createAuthority()];
let server: RedisServer | undefined;
let port = 0;

beforeAll(async () => {
  if (NO_REDIS) return;
  port = await freePort();
  const { certPath, keyPath } = authority.certify("DNS:localhost");
  const files = [`tls-cert-file ${certPath}`, `tls-key-file ${keyPath}`, `tls-ca-cert-file ${authority.caPath}`];
  server = await startRedis([`tls-port ${port}`, ...files, "tls-auth-clients yes"]);
});
afterAll(async () => {
  await server?.end();
  authority.close();
  stranger.close();
});

/** The token of a lock, or why there is none. */
async function locked(tls: SecureContextOptions, host = "localhost"): Promise<string> {
  const locks = createRedisLocks({
    address: readRedisUrl(`rediss://${host}:${port}`),
    tls,
    log: createLog(() => {}),
    nowMs: () => performance.now(),
    newToken: () => "held",
    answerMs: 5_000,
  });
  try {
    return String(await locks.tryLock(randomUUID(), 1_000));
  } catch (error) {
    return String(error);
  } finally {
    await locks.close();
  }
}

withRedis("each side shows a certificate that the other's authority has signed", async () => {
  const { cert, key } = authority.certify("DNS:bodega");
  expect(await locked({ ca: authority.ca, cert, key })).toBe("held");
});

withRedis(
  "a server of another authority or for another host is refused, and a client without a certificate",
  async () => {
    const { cert, key } = authority.certify("DNS:bodega");
    expect(await locked({ ca: stranger.ca, cert, key })).toMatch(/certificate|verify|issuer/i);
    expect(await locked({ cert, key })).toMatch(/certificate|verify|issuer/i);
    expect(await locked({ ca: authority.ca, cert, key }, "127.0.0.1")).toMatch(/altname|IP|host/i);
    expect(await locked({ ca: authority.ca })).not.toBe("held");
  },
);
