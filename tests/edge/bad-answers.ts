// What no answer may be, whatever was asked; and the fuzzer that looks for such answers.
import type { DescMethod, JsonObject } from "@bufbuild/protobuf";
import fc from "fast-check";
import { type Answer, callBinary, callConnect, callRest, type LiveEdge, restOf, send } from "../kit/live-edge.ts";
import { binaryBytes, fieldByField, type Spoiling, spoiled, spoilings, textBytes } from "./hostile.ts";

/** What only the inside knows: stacks, files, statements, the database's own words. No hostile text of ours looks like these. */
const LEAKS: Record<string, RegExp> = {
  "a stack trace": /\bat .{0,200}:\d+:\d+/,
  "a file's path": /file:\/\/|node_modules|\/(?:work|home|root|tmp|usr|opt|app|var)\/|\.(?:ts|sql)\b/,
  "SQL text": /\b(?:select|delete)\b.{0,200}\bfrom\b|\binsert into\b|\bupdate\b.{0,100}\bset\b/i,
  "the database's words":
    /postgres|SQLSTATE|syntax error at|invalid byte sequence|violates \w+.{0,20} constraint|(?:relation|column) \\?"/i,
  "a bug's words":
    /(?:Type|Reference|Range|Syntax|URI)Error|is not (?:a function|iterable|an object)|undefined is|Cannot (?:read|mix)/,
};
/** Refusals are small: they must fit into the trailers of a gRPC call. */
const REFUSAL_CHARS_MAX = 8_192;
const OURS = new Set(["internal", "unknown", "data_loss", "unavailable", "deadline_exceeded"]);

/** What is wrong with an answer, in words; undefined for a good one. */
export function complaint({ status, code, text }: Answer): string | undefined {
  // What only services may ask is not there for the outside, which Connect says with 501.
  if (status >= 500 && code !== "unimplemented") return `status ${status}: ${text.slice(0, 300)}`;
  if (OURS.has(code)) return `${code}: ${text.slice(0, 300)}`;
  if (status === 200 && code === "ok") return undefined;
  if (status < 400 && code === "ok") return `status ${status} without an error`;
  if (text.length > REFUSAL_CHARS_MAX) return `a refusal of ${text.length} characters: ${text.slice(0, 300)}`;
  const leak = Object.entries(LEAKS).find(([, pattern]) => pattern.test(text));
  return leak && `${leak[0]} in: ${text.slice(0, 500)}`;
}

export interface Spoilt {
  edge: LiveEdge;
  method: DescMethod;
  /** A request that is answered, made anew each time. */
  good: () => JsonObject | Promise<JsonObject>;
  headers: Record<string, string>;
}

const WAYS = ["JSON", "REST", "binary"] as const;

/** Puts into each field what it must take or refuse; the ways in take turns. Says what went wrong. */
export async function spoilEachField({ edge, method, good, headers }: Spoilt): Promise<string[]> {
  const complaints: string[] = [];
  for (const [at, spoiling] of fieldByField(method.input).entries()) {
    const way = WAYS[at % WAYS.length] ?? "JSON";
    const wrong = complaint(await sendSpoiled(edge, method, way, await good(), spoiling, headers));
    if (wrong) complaints.push(`${method.name} as ${way}, ${JSON.stringify(spoiling.edits).slice(0, 200)}: ${wrong}`);
  }
  return complaints;
}

/** Sends spoiled requests until one gets an answer that may not be; says which, how spoiled, and what came. */
export async function fuzz({
  edge,
  method,
  good,
  headers,
  seed,
  runs,
}: Spoilt & { seed: number; runs: number }): Promise<string | undefined> {
  let found = "";
  const property = fc.asyncProperty(fc.constantFrom(...WAYS), spoilings(method.input), async (way, spoiling) => {
    const answer = await sendSpoiled(edge, method, way, await good(), spoiling, headers);
    const wrong = complaint(answer);
    if (wrong) found = `${method.name} as ${way}: ${wrong}`;
    return !wrong;
  });
  const result = await fc.check(property, { seed, numRuns: runs });
  if (!result.failed) return undefined;
  // Such as a request that was never answered.
  if (!found) throw result.errorInstance;
  return `${found} (seed ${seed}, path ${result.counterexamplePath}: ${fc.stringify(result.counterexample).slice(0, 1_000)})`;
}

function sendSpoiled(
  edge: LiveEdge,
  method: DescMethod,
  way: (typeof WAYS)[number],
  good: JsonObject,
  spoiling: Spoiling,
  headers: Record<string, string>,
): Promise<Answer> {
  const request = spoiled(good, spoiling);
  if (way === "binary") return callBinary(edge, method, binaryBytes(method.input, request, spoiling), headers);
  const rest = way === "REST" ? restOf(method, request) : undefined;
  if (!rest) return callConnect(edge, method, textBytes(request, spoiling), headers);
  if (spoiling.bytes.length === 0 || rest.init.body === undefined) return callRest(edge, method, request, headers);
  const body = textBytes(request, spoiling);
  return send(`${edge.url}${rest.path}`, { ...rest.init, headers: { ...rest.init.headers, ...headers }, body });
}
