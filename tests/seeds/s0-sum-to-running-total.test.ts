// Seed 0: a sum is asked for at the edge, kept in one commit with its fact, carried to the topic user-events, and added to a running total.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { createClient, type Transport } from "@connectrpc/connect";
import { createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { createConnectTransport } from "@connectrpc/connect-web";
import { CanaryService } from "../../packages/api/gen/bodega/canary/v1/canary_pb.ts";
import { type LiveEdge, startLiveEdge } from "../kit/live-edge.ts";
import { type System, startSystem } from "../kit/system.ts";

setDefaultTimeout(120_000);
const SUMS = 50;

let system: System;
let edge: LiveEdge;
const topics: string[] = [];
beforeAll(async () => {
  system = await startSystem({ services: ["canary"] });
  edge = await startLiveEdge(system);
  system.platform.events.subscribe("seed-0", ["user-events"], async (batch) => {
    for (const { topic, type } of batch) topics.push(`${topic} ${type}`);
  });
});
afterAll(async () => {
  await edge.close();
  await system.close();
});

const totals = () => system.as("admin", CanaryService).getTotals({});

type Calculate = (a: bigint, b: bigint) => Promise<string>;
const over = (transport: Transport): Calculate => {
  const client = createClient(CanaryService, transport);
  return async (a, b) => (await client.calculateSum({ a, b })).sum.toString();
};

const WAYS: Record<string, () => Calculate> = {
  Connect: () => over(createConnectTransport({ baseUrl: edge.url })),
  "gRPC-Web": () => over(createGrpcWebTransport({ baseUrl: edge.url, httpVersion: "1.1" })),
  gRPC: () => over(createGrpcTransport({ baseUrl: edge.grpcUrl })),
  REST: () => async (a, b) => {
    const body = JSON.stringify({ a: a.toString(), b: b.toString() });
    const headers = { "content-type": "application/json" };
    const res = await fetch(`${edge.url}/v1/sums`, { method: "POST", headers, body });
    return ((await res.json()) as { sum: string }).sum; // The test compares it with what it must be.
  },
};

test.each(Object.keys(WAYS))("over %s every sum that was answered is in the running total, once", async (way) => {
  const calculate = WAYS[way]?.();
  if (!calculate) throw new Error(`there is no way ${way}`);
  const before = await totals();
  const asked = Array.from({ length: SUMS }, (_, n) => [BigInt(n), -3n * BigInt(n)] as const);
  const answers = await Promise.all(asked.map(([a, b]) => calculate(a, b)));
  expect(answers).toEqual(asked.map(([a, b]) => (a + b).toString()));
  await system.settle();
  const after = await totals();
  const sum = asked.reduce((total, [a, b]) => total + a + b, 0n);
  expect(BigInt(after.deliveredTotal) - BigInt(before.deliveredTotal)).toBe(sum);
  expect(after).toMatchObject({ acknowledged: before.acknowledged + BigInt(SUMS), missing: 0n, duplicated: 0n });
});

test("its facts are on the topic that the seed names", () => {
  expect(topics).toHaveLength(Object.keys(WAYS).length * SUMS);
  expect([...new Set(topics)]).toEqual(["user-events sum.calculated"]);
});
