// haproxy/haproxy.cfg as it is, but for its addresses, before two gateways that die when they are told to.
import { afterAll, beforeAll, beforeEach, expect, setDefaultTimeout } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts } from "../../scripts/copy/ports.ts";
import { find } from "../../scripts/servers/find.ts";
import { until } from "../../scripts/servers/until.ts";
import { ROOT } from "../../scripts/tree.ts";
import { type Authority, createAuthority } from "../kit/certificates.ts";
import { absent } from "../kit/servers/absent.ts";
import { testUnless } from "../kit/test-unless.ts";

setDefaultTimeout(120_000);
const REQUESTS_MAX = 60;
const reason = absent(["haproxy"]);
const testHaproxy = testUnless(reason);

const folder = mkdtempSync(join(tmpdir(), "bodega-way-in-"));
const gateways: Server[] = [];
let authority: Authority;
let haproxy: ReturnType<typeof Bun.spawn> | undefined;
let edge = "";
let metrics = "";
let grafana = "";
let grafanaInside: Server;
/** What the gateways were asked; the next so many of them end without a word. */
let asked: IncomingMessage[] = [];
let deaths = 0;

beforeAll(async () => {
  if (reason) return;
  authority = createAuthority();
  const { cert, key } = authority.certify("DNS:localhost");
  writeFileSync(join(folder, "tls.pem"), cert + key);
  for (let count = 0; count < 2; count++) gateways.push(await startGateway());
  grafanaInside = await listening(createServer((_, res) => void res.end("a dashboard")));
  const { TLS = "", PLAIN = "", METRICS = "", GRAFANA = "" } = await freePorts(["TLS", "PLAIN", "METRICS", "GRAFANA"]);
  writeFileSync(join(folder, "haproxy.cfg"), placed(TLS, PLAIN, METRICS, GRAFANA));
  haproxy = Bun.spawn([find("haproxy") ?? "haproxy", "-db", "-f", join(folder, "haproxy.cfg")], {
    env: { PUBLIC_URL: `https://localhost:${TLS}`, REQUESTS_MAX: String(REQUESTS_MAX) },
    stdio: ["ignore", "ignore", "inherit"],
  });
  edge = `https://localhost:${TLS}`;
  metrics = `http://127.0.0.1:${METRICS}/metrics`;
  grafana = `https://localhost:${GRAFANA}`;
  const running = haproxy;
  await until(
    "HAProxy leads to a gateway",
    () =>
      ask("/ready").then(
        ({ status }) => status === 200,
        () => false,
      ),
    () => {
      if (running.exitCode !== null) throw new Error(`HAProxy ended with ${running.exitCode}`);
    },
  );
});

beforeEach(() => {
  asked = [];
  deaths = 0;
});

afterAll(async () => {
  haproxy?.kill();
  await haproxy?.exited;
  for (const gateway of gateways) gateway.closeAllConnections();
  grafanaInside?.close();
  if (!reason) authority.close();
  rmSync(folder, { recursive: true });
});

function startGateway(): Promise<Server> {
  const gateway = createServer((req, res) => {
    if (req.url === "/healthz") return void res.end();
    asked.push(req);
    if (deaths > 0) {
      deaths -= 1;
      return void req.socket.destroy();
    }
    req.resume().on("end", () => res.end("answered"));
  });
  return listening(gateway);
}

async function listening(server: Server): Promise<Server> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

const portOf = (server: Server) => (server.address() as AddressInfo).port; // It listens on TCP.

/** In a swarm names lead to the gateways; here they have a port each. */
function placed(tls: string, plain: string, metricsPort: string, grafanaPort: string): string {
  return readFileSync(join(ROOT, "haproxy", "haproxy.cfg"), "utf8")
    .replaceAll("/run/secrets/tls.pem", join(folder, "tls.pem"))
    .replace("/tmp/admin.sock", join(folder, "admin.sock"))
    .replace("bind :8443", `bind 127.0.0.1:${tls}`)
    .replace("bind :8080", `bind 127.0.0.1:${plain}`)
    .replace(`bind :${scrapedPort()}`, `bind 127.0.0.1:${metricsPort}`)
    .replace("bind :3000", `bind 127.0.0.1:${grafanaPort}`)
    .replace("server-template grafana- 1 grafana:3000", `server grafana-1 127.0.0.1:${portOf(grafanaInside)}`)
    .replace(/server-template gateway- 8 gateway:\d+(.*) resolvers docker init-addr none/g, (_, how: string) =>
      gateways.map((gateway) => `server gateway-${portOf(gateway)} 127.0.0.1:${portOf(gateway)}${how}`).join("\n  "),
    );
}

/** Where Prometheus looks for HAProxy. */
function scrapedPort(): string {
  const prometheus = readFileSync(join(ROOT, "observability/prometheus/prometheus.yml"), "utf8");
  return /"haproxy:(\d+)"/.exec(prometheus)?.[1] ?? "";
}

function ask(path: string, init: BunFetchRequestInit = {}): Promise<Response> {
  return fetch(edge + path, { ...init, redirect: "manual", tls: { ca: authority.ca } });
}

const POST = { method: "POST", body: "{}", headers: { "content-type": "application/json" } };

testHaproxy("who dies before it answers is followed by another gateway, where that can do no harm", async () => {
  const keyed = { ...POST, headers: { ...POST.headers, "idempotency-key": "k" } };
  const harmless: [string, BunFetchRequestInit][] = [
    ["/v1/products", {}],
    ["/v1/orders", POST],
    ["/bodega.order.v1.OrderService/PlaceOrder", POST],
    ["/v1/products", keyed],
  ];
  for (const [path, init] of harmless) {
    asked = [];
    deaths = 1;
    const answer = await ask(path, init);
    expect([path, answer.status, asked.map(({ url }) => url)]).toEqual([path, 200, [path, path]]);
  }
});

testHaproxy("what might be done twice is sent once, whatever became of it", async () => {
  deaths = 1;
  // On a connection that was used before, HAProxy passes on that it was closed; else it says 502.
  const answer = await ask("/v1/payments", POST).then(
    ({ status }) => status,
    (error: { code?: string }) => error.code,
  );
  expect([502, "ECONNRESET"]).toContain(answer ?? "");
  expect(asked.length).toBe(1);
});

testHaproxy("where a caller is says HAProxy alone, and browsers stay with TLS", async () => {
  const headers = { "x-forwarded-for": "10.1.1.1", forwarded: "for=10.1.1.1", "x-forwarded-proto": "http" };
  const answer = await ask("/v1/products", { headers });
  expect(asked.at(-1)?.headers).toMatchObject({ "x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "https" });
  expect(asked.at(-1)?.headers.forwarded).toBeUndefined();
  expect(answer.headers.get("strict-transport-security")).toContain("max-age");
});

testHaproxy("one address that floods is refused, and told when to come back", async () => {
  let refused: Response | undefined;
  await until("it is refused", async () => {
    const answers = await Promise.all(Array.from({ length: 2 * REQUESTS_MAX }, () => ask("/v1/products")));
    refused = answers.find(({ status }) => status === 429);
    return refused !== undefined;
  });
  expect(refused?.headers.get("retry-after")).toBe("10");
});

testHaproxy("Prometheus finds what it asks HAProxy for, and nothing else is there", async () => {
  const text = await (await fetch(metrics)).text();
  expect(text).toContain('haproxy_backend_active_servers{proxy="gateways"} 2');
  expect((await fetch(new URL("/", metrics))).status).toBe(404);
});

testHaproxy("Grafana is reached over TLS, at a port of its own", async () => {
  const answer = await fetch(`${grafana}/login`, { tls: { ca: authority.ca } });
  expect([answer.status, await answer.text()]).toEqual([200, "a dashboard"]);
});
