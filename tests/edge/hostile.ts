// Requests no honest client sends: a good one, taken from the access table, bent field by field, or bytes that are no request at all.
import { type DescMessage, fromJson, type JsonObject, type JsonValue, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";

type Path = (string | number)[];

/** How a request is spoiled; plain data, so that fast-check can print and shrink it. */
export interface Spoiling {
  edits: { path: Path; value: JsonValue | undefined }[];
  /** Keys beside the fields. */
  extra: [string, JsonValue][];
  /** What is done to the JSON text or to the binary message, byte by byte. */
  bytes: ByteEdit[];
}

type ByteEdit =
  | { do: "set"; at: number; byte: number }
  | { do: "cut"; at: number }
  | { do: "insert"; at: number; bytes: number[] }
  | { do: "replace"; bytes: number[] };

const HUGE = 70_000;
const STRINGS = [
  ...[
    "",
    " ",
    "\u0000",
    "a\u0000b",
    "\ud800",
    "x\udfffy",
    "\u202e\u2066",
    "👩‍👩‍👧‍👦",
    "e\u0301".repeat(50),
    "\ufeff",
    "\r\n\r\n",
  ],
  ...[
    "'",
    "''; --",
    "'; truncate orders cascade; --",
    "' or '1'='1",
    "1) or (1=1",
    "\\'; drop table users; --",
    "$$",
    "%",
    "_",
  ],
  ...[
    "%00",
    "../../etc/passwd",
    "<script>alert(1)</script>",
    "%{jndi:ldap://x}",
    "{{7*7}}",
    "a@b@c",
    "a@b.c\r\nBcc: x@y.z",
  ],
  ...["null", "NaN", "-0", "1e999", "0x10", "٣", "9223372036854775808", "-9223372036854775809", "18446744073709551616"],
  ...[
    "00000000-0000-0000-0000-000000000000",
    "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
    "{01890000-0000-7000-8000-000000000001}",
  ],
  ...[
    "01890000000070008000000000000001",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999999Z",
    "10000-01-01T00:00:00Z",
  ],
  ...["__proto__", "constructor", "ROLE_SERVICE", "ORDER_STATUS_NOTHING", "W10=", "bnVsbA", "e30"],
  "x".repeat(HUGE),
];
const NUMBERS = [-1, 0, 1, 101, 1.5, -0, 1e21, 1e308, 2 ** 31, -(2 ** 31) - 1, 2 ** 53, Number.MIN_SAFE_INTEGER];
const NAMES = [
  "__proto__",
  "constructor",
  "toString",
  "hasOwnProperty",
  "",
  "$ref",
  "@type",
  "order_id",
  "x".repeat(1_000),
];

const strings = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...STRINGS) },
  fc.string({ unit: "binary", maxLength: 40 }),
);
const numbers = fc.oneof(
  fc.constantFrom(...NUMBERS),
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
);
const nested = fc.integer({ min: 1, max: 300 }).map((depth) => {
  let value: JsonValue = {};
  for (let i = 0; i < depth; i++) value = i % 2 ? { lines: value } : [value];
  return value;
});
/** fast-check's own JSON, and what servers are known to trip over. */
const values: fc.Arbitrary<JsonValue> = fc.oneof(
  { weight: 6, arbitrary: strings },
  { weight: 3, arbitrary: numbers },
  fc.constantFrom<JsonValue>(null, true, false, [], {}, [null], [[]], { "": null }),
  fc.jsonValue().map((value) => value as JsonValue), // JSON by its own word.
  nested,
  fc
    .tuple(strings, fc.integer({ min: 1, max: 300 }))
    .map(([text, times]) => Array<JsonValue>(times).fill(text.slice(0, 50))),
);

const at = fc.nat(2_000);
const byte = fc.nat(255);
const bytesArbitrary: fc.Arbitrary<ByteEdit> = fc.oneof(
  fc.record({
    do: fc.constant("set" as const),
    at,
    byte: fc.oneof(byte, fc.constantFrom(0, 0x22, 0x7b, 0x80, 0xc0, 0xff)),
  }),
  fc.record({ do: fc.constant("cut" as const), at }),
  fc.record({ do: fc.constant("insert" as const), at, bytes: fc.array(byte, { maxLength: 12 }) }),
  fc.record({ do: fc.constant("replace" as const), bytes: fc.array(byte, { maxLength: 200 }) }),
  fc
    .constantFrom("null", "[]", '""', "1", "{", '{"a":1}{"b":2}', "NaN", "\ufeff{}", "[1,", '{"a":NaN}', "")
    .map((text) => ({
      do: "replace" as const,
      bytes: [...Buffer.from(text)],
    })),
);

/** Ways to spoil a request of this message, half of them by its fields, the others by its bytes. */
export function spoilings(input: DescMessage): fc.Arbitrary<Spoiling> {
  const paths = pathsOf(input);
  const path: fc.Arbitrary<Path> = paths.length > 0 ? fc.constantFrom(...paths) : fc.constant([]);
  const edit = fc.record({ path, value: fc.option(values, { nil: undefined, freq: 8 }) });
  const extra = fc.array(fc.tuple(fc.oneof(fc.constantFrom(...NAMES), fc.string()), values), { maxLength: 2 });
  const none = fc.constant<never[]>([]);
  return fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({ edits: fc.array(edit, { minLength: 1, maxLength: 3 }), extra: none, bytes: none }),
    },
    { weight: 1, arbitrary: fc.record({ edits: none, extra, bytes: none }) },
    {
      weight: 2,
      arbitrary: fc.record({
        edits: none,
        extra: none,
        bytes: fc.array(bytesArbitrary, { minLength: 1, maxLength: 3 }),
      }),
    },
  );
}

/** What every field must take or refuse, whatever chance leaves out. */
const EVERYWHERE: (JsonValue | undefined)[] = [
  ...["a\u0000b", "\ud800", "''; --", "' or '1'='1", "a@b.c\r\nBcc: x@y.z", "", "x".repeat(HUGE)],
  ...[-1, 1.5, 2 ** 53, true, null, undefined, [], {}, [null], "9223372036854775808"],
];

/** One spoiling for each field and each of those values. */
export function fieldByField(input: DescMessage): Spoiling[] {
  return pathsOf(input).flatMap((path) =>
    EVERYWHERE.map((value) => ({ edits: [{ path, value }], extra: [], bytes: [] })),
  );
}

/** Every field of a message by its JSON name, through lists and messages inside. */
function pathsOf(message: DescMessage, depth = 3): Path[] {
  return message.fields.flatMap((field) => {
    const list = field.fieldKind === "list" ? [0] : [];
    const inner = field.message && depth > 0 ? pathsOf(field.message, depth - 1) : [];
    return [
      [field.jsonName],
      ...(list.length > 0 ? [[field.jsonName, ...list]] : []),
      ...inner.map((path) => [field.jsonName, ...list, ...path]),
    ];
  });
}

/** The good request with its fields spoiled. */
export function spoiled(good: JsonObject, { edits, extra }: Spoiling): JsonObject {
  const copy = structuredClone(good);
  for (const { path, value } of edits) setAt(copy, path, value);
  // fromEntries makes a key of its own of "__proto__", as a parser does.
  return Object.fromEntries([...Object.entries(copy), ...extra]);
}

function setAt(target: object, path: Path, value: JsonValue | undefined): void {
  const [step, next] = path;
  if (step === undefined) return;
  if (path.length === 1) {
    if (value === undefined) Reflect.deleteProperty(target, step);
    else Reflect.set(target, step, structuredClone(value));
    return;
  }
  const found: unknown = Reflect.get(target, step);
  const inner = typeof found === "object" && found !== null ? found : typeof next === "number" ? [] : {};
  Reflect.set(target, step, inner);
  setAt(inner, path.slice(1), value);
}

export function textBytes(request: JsonObject, { bytes }: Spoiling): Uint8Array<ArrayBuffer> {
  return edited(Buffer.from(JSON.stringify(request)), bytes);
}

/** The request in protobuf's binary form; one that its fields make impossible is sent as its JSON text. */
export function binaryBytes(input: DescMessage, request: JsonObject, { bytes }: Spoiling): Uint8Array<ArrayBuffer> {
  try {
    return edited(toBinary(input, fromJson(input, request, { ignoreUnknownFields: true })), bytes);
  } catch {
    return edited(Buffer.from(JSON.stringify(request)), bytes);
  }
}

function edited(from: Uint8Array, edits: ByteEdit[]): Uint8Array<ArrayBuffer> {
  let bytes = Buffer.from(from);
  for (const edit of edits) {
    const here = "at" in edit ? edit.at % (bytes.byteLength + 1) : 0;
    if (edit.do === "set" && here < bytes.byteLength) bytes[here] = edit.byte;
    if (edit.do === "cut") bytes = bytes.subarray(0, here);
    if (edit.do === "insert")
      bytes = Buffer.concat([bytes.subarray(0, here), Buffer.from(edit.bytes), bytes.subarray(here)]);
    if (edit.do === "replace") bytes = Buffer.from(edit.bytes);
  }
  return new Uint8Array(bytes);
}
