import { type DescMethod, fromBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";

const JSON_DEPTH_MAX = 100;
/** The parser's words quote what they could not read, and that may be a whole body. */
const MALFORMED_CHARS_MAX = 300;

/** The body of a request; refused as soon as it is known to be too long. */
export async function readBody(req: Request, bytesMax: number): Promise<Uint8Array<ArrayBuffer>> {
  const declared = req.headers.get("content-length");
  if (declared !== null && Number(declared) > bytesMax) throw tooLarge(bytesMax);
  if (declared !== null || !req.body) return new Uint8Array(await req.arrayBuffer());
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of req.body) {
    size += chunk.byteLength;
    if (size > bytesMax) throw tooLarge(bytesMax);
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}

export function tooLarge(bytesMax: number): ConnectError {
  return new ConnectError(`the message is larger than ${bytesMax} bytes`, Code.ResourceExhausted);
}

/** The refusal of a body that is not what its content type says. */
export function malformed(error: unknown): ConnectError {
  const { rawMessage: words } = ConnectError.from(error, Code.InvalidArgument);
  const short = words.length > MALFORMED_CHARS_MAX ? `${words.slice(0, MALFORMED_CHARS_MAX).toWellFormed()}…` : words;
  return new ConnectError(short, Code.InvalidArgument, undefined, undefined, error);
}

const strict = new TextDecoder("utf-8", { fatal: true });

/** JSON as text. Broken UTF-8 is refused, not mended: two request ids that differ must not become one. So is what is nested too deep. */
export function jsonText(bytes: Uint8Array): string {
  checkDepth(bytes);
  try {
    return strict.decode(bytes);
  } catch {
    throw malformed(new Error("the JSON is not valid UTF-8"));
  }
}

/** For the library, which else mends broken UTF-8 and reads JSON of any depth. */
export const JSON_DECODER = { textDecoder: { decode: (bytes = new Uint8Array()) => jsonText(bytes) } };

/** What follows the question mark. Broken UTF-8 is refused here too. */
export function readQuery(url: string): URLSearchParams {
  const start = url.indexOf("?");
  const query = start < 0 ? "" : url.slice(start + 1);
  for (const [encoded] of query.matchAll(/(?:%[0-9a-f]{2})+/gi)) {
    try {
      decodeURIComponent(encoded);
    } catch {
      throw malformed(new Error(`the query is not valid UTF-8: ${encoded.slice(0, MALFORMED_CHARS_MAX)}`));
    }
  }
  return new URLSearchParams(query);
}

/** Reading what is nested very deep could end the stack. */
function checkDepth(json: Uint8Array): void {
  let depth = 0;
  let quoted = false;
  for (let i = 0; i < json.length; i++) {
    const byte = json[i];
    if (byte === 0x22) quoted = !quoted;
    else if (quoted) i += byte === 0x5c ? 1 : 0;
    else if (byte === 0x7b || byte === 0x5b) depth += 1;
    else if (byte === 0x7d || byte === 0x5d) depth -= 1;
    if (depth > JSON_DEPTH_MAX) throw malformed(new Error(`the JSON is nested deeper than ${JSON_DEPTH_MAX} levels`));
  }
}

/** The refusal of a Connect GET whose message cannot be read, if it is one: the library mends broken UTF-8, and calls a broken binary message a fault of ours. */
export function malformedGet(method: DescMethod, req: Request): ConnectError | undefined {
  if (req.method !== "GET") return undefined;
  try {
    const query = readQuery(req.url);
    if (query.get("encoding") !== "proto" || query.has("compression")) return undefined;
    const text = query.get("message") ?? "";
    fromBinary(method.input, Buffer.from(text, query.get("base64") === "1" ? "base64url" : "utf8"));
    return undefined;
  } catch (error) {
    return malformed(error);
  }
}
