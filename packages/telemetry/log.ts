import { type Context, currentContext } from "./context.ts";

export type Fields = Record<string, string | number | boolean | null | undefined>;

/** One line per event. Never pass tokens, codes, passwords or mail bodies. */
export interface Log {
  info(event: string, fields?: Fields): void;
  warn(event: string, fields?: Fields): void;
  error(event: string, error: unknown, fields?: Fields): void;
  /** A log whose lines all carry `fields`. */
  with(fields: Fields): Log;
  /** A log whose lines belong to `context`, wherever they are written: for what is done on account of one message of a set. */
  in(context: Context): Log;
}

export type Line = { time: string; level: "info" | "warn" | "error"; event: string } & Fields;

/** JSON lines for machines, one readable line for a terminal. */
export function createLog(
  write: (line: Line) => void,
  base: Fields = {},
  now = () => new Date(),
  own: Context | undefined = undefined,
): Log {
  const put = (level: Line["level"], event: string, fields: Fields = {}) => {
    const context = own ?? currentContext();
    write({ time: now().toISOString(), level, event, ...base, ...(context && carried(context)), ...fields });
  };
  return {
    info: (event, fields) => put("info", event, fields),
    warn: (event, fields) => put("warn", event, fields),
    error: (event, error, fields) => put("error", event, { ...fields, ...errorFields(error) }),
    with: (fields) => createLog(write, { ...base, ...fields }, now, own),
    in: (context) => createLog(write, base, now, context),
  };
}

/** The span only where there is one to be found by it. */
function carried({ correlationId, traceId, spanId, sampled, orderId }: Context): Fields {
  return {
    correlation_id: correlationId,
    trace_id: traceId,
    ...(sampled && { span_id: spanId }),
    ...(orderId && { order_id: orderId }),
  };
}

export function jsonLine(line: Line): string {
  return `${printable(JSON.stringify(line))}\n`;
}

export function readableLine({ time, level, event, ...fields }: Line): string {
  const rest = Object.entries(fields).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`]));
  const text = `${time.slice(11, 23)} ${level === "info" ? "" : `${level.toUpperCase()} `}${event} ${rest.join(" ")}`;
  return `${printable(text)}\n`;
}

/** What strangers said may hold commands for a terminal, line breaks, or marks that turn text around: they are shown, not carried out. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (sign) =>
    Array.from({ length: sign.length }, (_, at) => `\\u${sign.charCodeAt(at).toString(16).padStart(4, "0")}`).join(""),
  );
}

/** Lines of one turn of the event loop are one write, which costs as much as two lines do. `flush` is for the end of the process. */
export function together(write: (text: string) => void): { put(line: string): void; flush(): void } {
  let lines: string[] = [];
  const flush = () => {
    const text = lines.join("");
    lines = [];
    if (text) write(text);
  };
  return {
    put(line) {
      if (lines.push(line) === 1) setImmediate(flush);
    },
    flush,
  };
}

function errorFields(error: unknown): Fields {
  if (!(error instanceof Error)) return { error: String(error) };
  return { error: error.message, stack: error.stack?.split("\n").slice(1, 6).join(" | ") };
}
