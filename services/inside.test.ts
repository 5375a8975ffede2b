import { expect, test } from "bun:test";
import { Hono } from "hono";
import { createLog } from "../packages/telemetry/log.ts";
import { createMetrics } from "../packages/telemetry/metrics.ts";
import { createEdge } from "../tests/edge.ts";
import { SERVICE_NAMES } from "./all.ts";
import { createElsewhere } from "./elsewhere.ts";
import { listenInside } from "./inside.ts";

test("what a browser asks of the edge reaches a page in another process as it was asked", async () => {
  const asked: (string | null)[][] = [];
  const payment = new Hono();
  payment.all("*", async ({ req, text }) => {
    const { pathname, search } = new URL(req.url);
    asked.push([req.method, `${pathname}${search}`, req.header("x-from") ?? null, await req.text()]);
    return text("heard");
  });
  const inside = listenInside({
    services: [],
    pages: { payment },
    host: "127.0.0.1",
    port: 0,
    opsPort: 0,
    log: createLog(() => {}),
    metrics: createMetrics(),
  });
  try {
    const urls = Object.fromEntries(SERVICE_NAMES.map((name) => [name, `http://127.0.0.1:${inside.port}`]));
    const { gateway } = await createEdge({ pages: createElsewhere(urls).pages });
    const headers = { "x-from": "a browser" };
    for (const path of ["/pay/7?back=%2Fcart&n=1", "/pay/7", "/pay/a%2Fb%20c?x=%C3%A9"]) {
      const got = await gateway.fetch(new Request(`http://edge${path}`, { headers }));
      expect([got.status, await got.text()]).toEqual([200, "heard"]);
      expect(asked.pop()).toEqual(["GET", path, "a browser", ""]);
    }
    const sent = { method: "POST", headers, body: "outcome=succeeded" };
    await gateway.fetch(new Request("http://edge/webhooks/embedded?try=2", sent));
    expect(asked.pop()).toEqual(["POST", "/webhooks/embedded?try=2", "a browser", "outcome=succeeded"]);
  } finally {
    await inside.close();
  }
});
