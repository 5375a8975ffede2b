import { expect, test } from "bun:test";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import type { Context } from "./context.ts";
import { linesRequest, spansRequest } from "./otlp.ts";
import type { Span } from "./trace.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const PARENT: Context = { correlationId: "c", traceId: "4bf92f3577b34da6a3ce929d0e0e4736", spanId: "00f067aa0ba902b7" };

/** What is at a path of field numbers, such as opentelemetry-proto has them: strings as bytes, numbers as they are. */
function at(bytes: Uint8Array, ...[number, ...path]: number[]): (Uint8Array | bigint | number)[] {
  const found: (Uint8Array | bigint | number)[] = [];
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field !== number) reader.skip(type);
    else if (type === WireType.LengthDelimited) found.push(reader.bytes());
    else if (type === WireType.Bit64) found.push(reader.fixed64() as bigint);
    else if (type === WireType.Bit32) found.push(reader.fixed32());
    else found.push(reader.int64() as bigint);
  }
  if (path.length === 0) return found;
  return found.flatMap((each) => (each instanceof Uint8Array ? at(each, ...path) : []));
}

const text = (found: unknown[]) => found.map((each) => Buffer.from(each as Uint8Array).toString());
const hex = (found: unknown[]) => found.map((each) => Buffer.from(each as Uint8Array).toString("hex"));

/** The KeyValues at a path. */
function attributes(bytes: Uint8Array, ...path: number[]) {
  return Object.fromEntries(
    at(bytes, ...path).map((each) => {
      const pair = each as Uint8Array;
      const [[name = ""], values] = [text(at(pair, 1)), [1, 2, 3, 4].flatMap((field) => at(pair, 2, field))];
      return [name, values[0] instanceof Uint8Array ? Buffer.from(values[0]).toString() : values[0]];
    }),
  );
}

function aSpan(service: string, more: Partial<Span> = {}): Span {
  const began = performance.now();
  return {
    ...{ service, name: `a span of ${service}`, kind: "consumer", traceId: TRACE, spanId: "b7ad6b7169203331" },
    ...{ parentId: undefined, link: undefined, attributes: {}, began, ended: began + 1.5 },
    ...more,
  };
}

/** 0.5 as the eight bytes of a double. */
const HALF = 0x3fe0000000000000n;
const RESOURCE_SPANS = 1;
const SPAN = [RESOURCE_SPANS, 2, 2];

test("spans of each service are under its resource, with their ids, times and attributes", () => {
  const before = BigInt(Date.now()) * 1_000_000n;
  const spans = [
    aSpan("order", {
      attributes: { "bodega.order.id": "Bestellung №7", "bodega.delay_ms": 5, share: 0.5, none: undefined },
    }),
    aSpan("stock", { kind: "server", parentId: PARENT.spanId }),
    aSpan("order", { link: { ...PARENT, sampled: true } }),
  ];
  const bytes = spansRequest(spans, (service) => ({ "service.name": service, "service.version": "1" }));
  const [order, stock] = at(bytes, RESOURCE_SPANS) as Uint8Array[];
  if (!order || !stock) throw new Error("expected a resource for each service");
  expect(attributes(order, 1, 1)).toEqual({ "service.name": "order", "service.version": "1" });
  expect(text(at(order, 2, 2, 5))).toEqual(["a span of order", "a span of order"]);
  expect(text(at(stock, 2, 2, 5))).toEqual(["a span of stock"]);
  expect(attributes(order, 2, 2, 9)).toEqual({
    ...{ "bodega.order.id": "Bestellung №7", "bodega.delay_ms": 5n },
    share: HALF,
  });
  expect(hex(at(bytes, ...SPAN, 1))).toEqual([TRACE, TRACE, TRACE]);
  expect(hex(at(bytes, ...SPAN, 2))).toEqual(Array.from(spans, ({ spanId }) => spanId));
  expect(hex(at(bytes, ...SPAN, 4))).toEqual([PARENT.spanId]);
  expect(at(bytes, ...SPAN, 6)).toEqual([5n, 5n, 2n]);
  expect(hex(at(bytes, ...SPAN, 13, 1))).toEqual([PARENT.traceId]);
  expect(hex(at(bytes, ...SPAN, 13, 2))).toEqual([PARENT.spanId]);
  expect(at(bytes, ...SPAN, 16)).toEqual([1, 1, 1]);
  const [began] = at(stock, 2, 2, 7) as bigint[];
  const [ended] = at(stock, 2, 2, 8) as bigint[];
  expect((ended ?? 0n) - (began ?? 0n)).toBe(1_500_000n);
  expect(Math.abs(Number((began ?? 0n) - before) / 1e6)).toBeLessThan(60_000);
});

test("a span that failed says so by its status, its kind of error and an event", () => {
  const failed = aSpan("order", { error: new TypeError("no such thing") });
  const bytes = spansRequest([failed, aSpan("order")], () => ({}));
  expect(at(bytes, ...SPAN, 15, 3)).toEqual([2n]);
  expect(text(at(bytes, ...SPAN, 15, 2))).toEqual(["TypeError: no such thing"]);
  expect(attributes(bytes, ...SPAN, 9)).toEqual({ "error.type": "TypeError" });
  expect(text(at(bytes, ...SPAN, 11, 2))).toEqual(["exception"]);
  expect(attributes(bytes, ...SPAN, 11, 3)).toEqual({
    ...{ "exception.type": "TypeError", "exception.message": "no such thing" },
    "exception.stacktrace": failed.error instanceof Error ? failed.error.stack : "",
  });
});

test("a log line has its time, its level, its event as body, and its trace where a span was recorded", () => {
  const time = "2026-01-05T08:00:00.123Z";
  const traced = { trace_id: TRACE, span_id: PARENT.spanId };
  const bytes = linesRequest(
    [
      { time, level: "warn", event: "rpc.done", service: "stock", ...traced, ok: true },
      { time, level: "info", event: "starting" },
    ],
    (service) => ({ "service.name": service }),
  );
  const [stock, bodega] = at(bytes, 1) as Uint8Array[];
  if (!stock || !bodega) throw new Error("expected a resource for each service");
  expect(attributes(stock, 1, 1)).toEqual({ "service.name": "stock" });
  expect(attributes(bodega, 1, 1)).toEqual({ "service.name": "bodega" });
  expect(at(stock, 2, 2, 1)).toEqual([BigInt(Date.parse(time)) * 1_000_000n]);
  expect(at(stock, 2, 2, 2)).toEqual([13n]);
  expect(text([...at(stock, 2, 2, 3), ...at(stock, 2, 2, 5, 1)])).toEqual(["WARN", "rpc.done"]);
  expect(attributes(stock, 2, 2, 6)).toEqual({ ...traced, ok: 1n });
  expect(hex([...at(bytes, 1, 2, 2, 9), ...at(bytes, 1, 2, 2, 10)])).toEqual([TRACE, PARENT.spanId]);
});
