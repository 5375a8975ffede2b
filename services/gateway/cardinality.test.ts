import { expect, test } from "bun:test";
import { createEdge } from "../../tests/kit/edge.ts";

const IDS = 10_000;
const AT_ONCE = 100;

test("ten thousand ids, paths and methods of strangers make no series of their own", async () => {
  const edge = await createEdge({ config: { rateLimits: false } });
  const ask = async (path: string, init: RequestInit = {}) => {
    const res = await edge.gateway.fetch(new Request(`http://localhost${path}`, init));
    await res.arrayBuffer();
  };
  const each = (id: string) => [
    ask(`/v1/tickets/${id}`),
    ask(`/nothing/${id}`),
    ask(`/bodega.kitchen.v1.KitchenService/${id}`, { method: "POST", headers: { "content-type": "application/json" } }),
    ask("/v1/products", {
      headers: { traceparent: `00-${id.padStart(32, "1")}-${id.padStart(16, "1")}-01`, "x-request-id": id },
    }),
  ];
  const series = async () => {
    const { body } = await edge.metrics.expose();
    return new Set(body.split("\n").flatMap((line) => /^(\w+(?:\{[^}]*\})?) /.exec(line)?.[1] ?? []));
  };
  await Promise.all(each("0"));
  const before = await series();
  for (let id = 1; id < IDS / 4; id += AT_ONCE / 4)
    await Promise.all(Array.from({ length: AT_ONCE / 4 }, (_, more) => each(String(id + more))).flat());
  const after = await series();
  expect([...after].filter((one) => !before.has(one))).toEqual([]);
  expect(after.size).toBeGreaterThan(50);
}, 60_000);
