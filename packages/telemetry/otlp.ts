// Spans and log lines as OpenTelemetry's protocol has them: opentelemetry-proto 1.10, trace/v1/trace.proto and logs/v1/logs.proto, whose field numbers these are.
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { Line } from "./log.ts";
import type { Attributes, Span } from "./trace.ts";

/** What is known of a service besides what it records. */
export type ResourceOf = (service: string) => Attributes;

const KINDS = { internal: 1, server: 2, client: 3, producer: 4, consumer: 5 };
const SEVERITIES = { info: 9, warn: 13, error: 17 };
const SAMPLED = 1;
const FAILED = 2;
/** Further apart are two clocks of one machine only when one of them has been set. */
const SET_MS = 5;

/** What performance.now() counts from. */
let epoch = performance.timeOrigin;

export function spansRequest(spans: Span[], resourceOf: ResourceOf): Uint8Array<ArrayBuffer> {
  const found = Date.now() - performance.now();
  // It stays while it can: which of two spans began first is a matter of microseconds.
  if (Math.abs(found - epoch) > SET_MS) epoch = found;
  return request(spans, ({ service }) => service, resourceOf, writeSpan);
}

export function linesRequest(lines: Line[], resourceOf: ResourceOf): Uint8Array<ArrayBuffer> {
  return request(lines, ({ service }) => String(service ?? "bodega"), resourceOf, writeLine);
}

/** Kept, because what it has grown to is what it will need again. */
const writer = new BinaryWriter();

/** Both requests are alike down to the single span or line: Export…Request, Resource…, Scope…. */
function request<T>(
  items: T[],
  serviceOf: (item: T) => string,
  resourceOf: ResourceOf,
  write: (item: T) => void,
): Uint8Array<ArrayBuffer> {
  writer.finish(); // Of one that could not be written to its end.
  for (const [service, own] of Map.groupBy(items, serviceOf)) {
    open(1);
    open(1);
    writeAttributes(1, resourceOf(service));
    writer.join();
    open(2);
    open(1);
    text(1, "bodega");
    writer.join();
    for (const item of own) {
      open(2);
      write(item);
      writer.join();
    }
    writer.join().join();
  }
  return writer.finish();
}

function writeSpan(span: Span): void {
  hex(1, span.traceId);
  hex(2, span.spanId);
  if (span.parentId) hex(4, span.parentId);
  text(5, span.name);
  writer.tag(6, WireType.Varint).int32(KINDS[span.kind]);
  time(7, epoch + span.began);
  time(8, epoch + span.ended);
  writeAttributes(9, span.attributes);
  if (span.error !== undefined) writeError(span.error, epoch + span.ended);
  if (span.link) {
    open(13);
    hex(1, span.link.traceId);
    hex(2, span.link.spanId);
    writer
      .tag(6, WireType.Bit32)
      .fixed32(span.link.sampled ? SAMPLED : 0)
      .join();
  }
  writer.tag(16, WireType.Bit32).fixed32(SAMPLED);
}

/** A failed span says what it failed with, an event where, and its status that it did. */
function writeError(error: unknown, ms: number): void {
  const known = error instanceof Error ? error : undefined;
  writeAttributes(9, { "error.type": known?.name ?? "Error" });
  open(11);
  time(1, ms);
  text(2, "exception");
  writeAttributes(3, {
    "exception.type": known?.name,
    "exception.message": known?.message ?? String(error),
    "exception.stacktrace": known?.stack,
  });
  writer.join();
  open(15);
  text(2, String(error));
  writer.tag(3, WireType.Varint).int32(FAILED).join();
}

function writeLine({ time: at, level, event, service: _, ...fields }: Line): void {
  const { trace_id: traceId, span_id: spanId } = fields;
  const ms = Date.parse(at);
  time(1, ms);
  writer.tag(2, WireType.Varint).int32(SEVERITIES[level]);
  text(3, level.toUpperCase());
  open(5);
  text(1, event);
  writer.join();
  writeAttributes(6, fields);
  if (typeof traceId === "string" && typeof spanId === "string") {
    writer.tag(8, WireType.Bit32).fixed32(SAMPLED);
    hex(9, traceId);
    hex(10, spanId);
  }
  time(11, ms);
  text(12, event);
}

function writeAttributes(field: number, attributes: Attributes): void {
  for (const name in attributes) {
    const value = attributes[name];
    if (value === undefined || value === null) continue;
    open(field);
    text(1, name);
    open(2);
    if (typeof value === "string") text(1, value);
    else if (typeof value === "boolean") writer.tag(2, WireType.Varint).bool(value);
    else if (Number.isSafeInteger(value)) writer.tag(3, WireType.Varint).int64(value);
    else writer.tag(4, WireType.Bit64).double(value);
    writer.join().join();
  }
}

function open(field: number): void {
  writer.tag(field, WireType.LengthDelimited).fork();
}

function text(field: number, value: string): void {
  writer.tag(field, WireType.LengthDelimited).string(value);
}

function hex(field: number, digits: string): void {
  writer.tag(field, WireType.LengthDelimited).bytes(Uint8Array.fromHex(digits));
}

/** Nanoseconds since 1970, of milliseconds. */
function time(field: number, ms: number): void {
  writer.tag(field, WireType.Bit64).fixed64(BigInt(Math.round(ms * 1_000)) * 1_000n);
}
