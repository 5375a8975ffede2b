// Seed 0's load test as its author wrote it, by k6, through HAProxy and over two copies of the program that share a database.
import { afterAll, beforeAll, expect, setDefaultTimeout } from "bun:test";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { AuthService } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { CanaryService } from "../../packages/api/gen/bodega/canary/v1/canary_pb.ts";
import { OpsService } from "../../packages/api/gen/bodega/ops/v1/ops_pb.ts";
import { run } from "../../scripts/command.ts";
import { freePort, freePorts } from "../../scripts/copy/ports.ts";
import { postgresIn } from "../../scripts/copy/postgres.ts";
import { type Copy, startCopy } from "../../scripts/copy/start.ts";
import { find } from "../../scripts/servers/find.ts";
import { buildK6, k6Absent } from "../../scripts/servers/k6.ts";
import { eventually } from "../kit/eventually.ts";
import { scratchFolder } from "../kit/scratch.ts";
import { absent } from "../kit/servers/absent.ts";
import { testUnless } from "../kit/test-unless.ts";

setDefaultTimeout(600_000);
const ADMIN = { email: "admin@bodega.test", password: "four hungry horses" };
const SHARED = {
  ADMIN_EMAIL: ADMIN.email,
  ADMIN_PASSWORD: ADMIN.password,
  EVENTLOG_SECRET: "a secret that signs the journal of this test",
  CLUSTER_SECRET: "a secret that both copies share, long enough",
  // Fifteen users come from one address here.
  RATE_LIMITS: "off",
  DEMO: "off",
};
const reason = absent(["haproxy"]) ?? k6Absent();

const folder = scratchFolder("bodega-k6-");
const ends: (() => Promise<unknown>)[] = [];
let edge = "";
let k6 = "";
beforeAll(async () => {
  if (reason) return;
  k6 = await buildK6();
  const first = await startProgram("first", {});
  const { urlOf } = postgresIn(join(folder, "first"));
  const second = await startProgram("second", { DATABASE_URL: urlOf("postgres") });
  edge = `http://127.0.0.1:${await startHaproxy([first, second])}`;
});
afterAll(async () => {
  for (const end of ends.reverse()) await end();
  rmSync(folder, { recursive: true, force: true });
});

/** Its port. */
async function startProgram(name: string, more: Record<string, string>): Promise<string> {
  const ports = await freePorts();
  const env = { ...ports, ...SHARED, ...more, DATA_DIR: join(folder, name) };
  const program: Copy = startCopy({ env, logFile: join(folder, `${name}.log`) });
  ends.push(() => program.end());
  await program.open();
  return ports["PORT"] ?? "";
}

async function startHaproxy(ports: string[]): Promise<number> {
  const port = await freePort();
  const servers = ports.map((each, index) => `  server bodega-${index + 1} 127.0.0.1:${each} check inter 500ms`);
  const lines = [
    ...["defaults", "  mode http", "  timeout connect 1s", "  timeout client 30s", "  timeout server 30s"],
    ...["listen edge", `  bind 127.0.0.1:${port}`, "  balance roundrobin", "  option httpchk GET /healthz", ...servers],
  ];
  const file = join(folder, "haproxy.cfg");
  writeFileSync(file, `${lines.join("\n")}\n`);
  const haproxy = Bun.spawn([find("haproxy") ?? "haproxy", "-db", "-f", file], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  ends.push(async () => {
    haproxy.kill();
    await haproxy.exited;
  });
  await eventually(async () => {
    const answer = await fetch(`http://127.0.0.1:${port}/healthz`).catch((error: unknown) => error);
    return answer instanceof Response && answer.status === 200;
  });
  return port;
}

function transport(token = "") {
  const authorized: typeof fetch = Object.assign(
    (input: Parameters<typeof fetch>[0], init?: RequestInit) => {
      const headers = new Headers(init?.headers);
      if (token) headers.set("authorization", `Bearer ${token}`);
      return fetch(input, { ...init, headers });
    },
    { preconnect: fetch.preconnect },
  );
  return createConnectTransport({ baseUrl: edge, fetch: authorized });
}

testUnless(reason)(
  "k6's thresholds hold through HAProxy over two instances, and no sum is lost or doubled",
  async () => {
    const summary = join(folder, "summary.json");
    const { code, output } = await run([
      ...[k6, "run", "--quiet", "--no-color", "--no-usage-report", `--summary-export=${summary}`],
      ...["-e", `BASE_URL=${edge}`, "tests/seeds/k6-http.js"],
    ]);
    // k6 ends with 99 where a threshold was crossed.
    expect([code, code === 0 ? "" : output]).toEqual([0, ""]);
    const { metrics } = JSON.parse(readFileSync(summary, "utf8")) as Summary; // k6's own shape.
    const { checks, http_req_duration: took, http_reqs: requests, http_req_failed: failed, vus_max: users } = metrics;
    process.stdout.write(
      `k6: ${requests.count} requests by ${users.max} users, ${(checks.value * 100).toFixed(2)} % of checks, p95 ${took["p(95)"].toFixed(1)} ms\n`,
    );
    expect(checks.value).toBeGreaterThan(0.95);
    expect(took["p(95)"]).toBeLessThan(600);
    expect(users.max).toBeGreaterThanOrEqual(15);

    const { accessToken } = await createClient(AuthService, transport()).login(ADMIN);
    const instances = new Set<string>();
    for (let asked = 0; asked < 10; asked += 1) {
      const { services } = await createClient(OpsService, transport(accessToken)).getInfo({});
      for (const { instance } of services) instances.add(instance);
    }
    expect(instances.size).toBe(2);

    const canary = createClient(CanaryService, transport(accessToken));
    await eventually(async () => (await canary.getTotals({})).missing === 0n);
    const totals = await canary.getTotals({});
    expect(totals).toMatchObject({ missing: 0n, duplicated: 0n });
    // What had no good answer may have been heard all the same.
    expect(Number(totals.acknowledged)).toBeWithin(requests.count - failed.passes, requests.count + 1);
  },
);

interface Summary {
  metrics: {
    checks: { value: number };
    http_req_duration: { "p(95)": number };
    http_reqs: { count: number };
    http_req_failed: { passes: number };
    vus_max: { max: number };
  };
}
