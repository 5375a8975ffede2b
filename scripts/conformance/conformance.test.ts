import { expect, test } from "bun:test";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { createLog } from "../../packages/telemetry/log.ts";
import { countsOf } from "../conformance.ts";
import { openEdge } from "./edge.ts";
import { Code as SuiteCode } from "./gen/connectrpc/conformance/v1/config_pb.ts";
import { ConformanceService, ErrorSchema } from "./gen/connectrpc/conformance/v1/service_pb.ts";
import { conformance } from "./service.ts";

test("the suite's own counts are taken over", () => {
  expect(countsOf("Total cases: 600\n600 passed, 0 failed\n", 0)).toEqual({ passed: 600, failed: 0, skipped: 0 });
  expect(countsOf("FAILED: a\nTotal cases: 3\n2 passed, 1 failed\n", 1)).toEqual({ passed: 2, failed: 1, skipped: 0 });
});

test("a suite that was stopped, ran nothing or ended badly has failed", () => {
  expect(countsOf("Running 24 tests\n", 124).failed).toBe(1);
  expect(countsOf("0 passed, 0 failed\n", 0).failed).toBe(1);
  expect(countsOf("5 passed, 0 failed\n", 2).failed).toBe(1);
});

test("what the suite calls is the product's edge, which tells its service's INTERNAL as it was thrown", async () => {
  const { port, close } = await openEdge(
    conformance,
    {},
    createLog(() => {}),
  ).listen();
  try {
    const transport = createConnectTransport({ baseUrl: `http://127.0.0.1:${port}`, httpVersion: "1.1" });
    const suite = createClient(ConformanceService, transport);
    const names: string[] = [];
    const onHeader = (headers: Headers) => names.push(...headers.keys());
    const { payload } = await suite.unary({}, { onHeader });
    expect(names).toEqual(expect.arrayContaining(["x-request-id", "x-content-type-options", "ratelimit-remaining"]));
    expect(payload?.requestInfo?.requestHeaders.map(({ name }) => name)).toContain("x-bodega-client-address");

    const value = create(ErrorSchema, { code: SuiteCode.INTERNAL, message: "as thrown" });
    const asked = suite.unary({ responseDefinition: { response: { case: "error", value } } });
    expect(await asked.catch(ConnectError.from)).toMatchObject({ code: Code.Internal, rawMessage: "as thrown" });
    expect(await suite.unimplemented({}).catch(ConnectError.from)).toMatchObject({ code: Code.Unimplemented });
  } finally {
    await close();
  }
});
