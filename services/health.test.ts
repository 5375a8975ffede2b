import { expect, test } from "bun:test";
import { createOpsPages } from "../packages/service/wire/health.ts";
import { listenHttp } from "../packages/service/wire/listen.ts";
import { createLog } from "../packages/telemetry/log.ts";
import { createMetrics } from "../packages/telemetry/metrics.ts";

import { main } from "./main.ts";

test("health is asked of the port for operators, and nothing else is started for it", async () => {
  const ops = listenHttp(
    "127.0.0.1",
    0,
    "OPS_PORT",
    createOpsPages(
      [],
      createMetrics(),
      createLog(() => {}),
    ),
  );
  const env = { OPS_HOST: "0.0.0.0", OPS_PORT: String(ops.port) };
  expect(await main(["health"], env)).toBeUndefined();
  await ops.close();
  expect(main(["health"], env)).rejects.toThrow(`http://127.0.0.1:${ops.port}/healthz`);
});

test("who answers anything but 200 is not healthy", async () => {
  const ill = listenHttp("127.0.0.1", 0, "OPS_PORT", async () => new Response("", { status: 503 }));
  await expect(main(["health"], { OPS_PORT: String(ill.port) })).rejects.toThrow("found 503");
  await ill.close();
});
