import { describe, expect, test } from "bun:test";
import { createEdge } from "../../tests/kit/edge.ts";
import { readConfig } from "./config.ts";

describe("configuration", () => {
  test("defaults are those of the design", () => {
    expect(readConfig({})).toEqual({
      host: "127.0.0.1",
      port: 8080,
      grpcPort: 50051,
      opsPort: 9091,
      opsHost: "127.0.0.1",
      reflection: true,
      basePath: "",
      rateLimits: true,
      securityContact: "",
      corsOrigins: ["*"],
      trustedProxies: [],
      drainMs: 0,
      ipv4NetworkBits: 24,
    });
  });

  test("what operators and developers use stays on this machine unless it is said", () => {
    expect(readConfig({ HOST: "0.0.0.0" })).toMatchObject({ opsHost: "127.0.0.1", reflection: false });
    expect(readConfig({ PUBLIC_URL: "https://shop.test" })).toMatchObject({ reflection: false });
    const said = readConfig({ HOST: "::", OPS_HOST: "10.0.0.7", REFLECTION: "on" });
    expect(said).toMatchObject({ opsHost: "10.0.0.7", reflection: true });
    for (const HOST of ["127.0.0.2", "::1", "localhost", "[::1]", "::ffff:127.0.0.1"])
      expect(readConfig({ HOST })).toMatchObject({ opsHost: HOST, reflection: true });
  });

  test("what cannot be meant is refused by name", async () => {
    expect(() => readConfig({ PORT: "http" })).toThrow("PORT must be a port from 0 to 65535, found http");
    expect(() => readConfig({ RATE_LIMITS: "no" })).toThrow("RATE_LIMITS must be on or off, found no");
    expect(createEdge({ config: { trustedProxies: ["haproxy"] } })).rejects.toThrow(
      "TRUSTED_PROXIES must list addresses",
    );
  });
});

test("where the certificate is looked at is a host with a port, or left out", () => {
  expect(readConfig({ CERTIFICATE_AT: "haproxy:8443" }).certificateAt).toBe("haproxy:8443");
  expect(readConfig({ CERTIFICATE_AT: "" })).not.toHaveProperty("certificateAt");
  for (const at of ["haproxy", "https://haproxy:8443", "user@haproxy:8443", "haproxy:8443/x"])
    expect(() => readConfig({ CERTIFICATE_AT: at })).toThrow("CERTIFICATE_AT must be of the form host:port");
});
