import type { Envelope } from "../api/envelope.ts";
import { uuidOf } from "../time/ids.ts";

/** An index takes 2,704 bytes, and a character is up to four of them. */
const WORD_CHARS_MAX = 300;
const BEGINNING_CHARS = 100;
/** The years that PostgreSQL, JavaScript and protobuf all know. */
const [FIRST, LAST] = [Date.parse("0001-01-01T00:00:00.000Z"), Date.parse("9999-12-31T23:59:59.999Z")];

/** Text from outside as PostgreSQL can hold it: what it cannot is replaced by U+FFFD, and all of it is at most `charsMax` long. */
export function storable(text: string, charsMax: number): string {
  return text.slice(0, charsMax).replaceAll("\0", "\uFFFD").toWellFormed();
}

/**
 * A message from outside as our tables can hold it, whatever it says, so that it blocks nobody behind it. `came` takes the place of a time that is none. The body stays
 * as it is.
 */
export function storableMessage<M extends Envelope>(message: M, came: Date): M {
  const { type, source, key, traceparent, correlationId, time } = message;
  return {
    ...message,
    ...{ type: word(type), source: word(source), key: word(key) },
    ...{ traceparent: word(traceparent), correlationId: word(correlationId) },
    time: [time, came].find(isStorable) ?? new Date(0),
  };
}

/** One that is too long becomes its beginning and what tells it from others that begin so. */
function word(text: string): string {
  if (text.length <= WORD_CHARS_MAX) return storable(text, WORD_CHARS_MAX);
  return `${storable(text, BEGINNING_CHARS)} ${uuidOf(text)}`;
}

function isStorable(time: Date): boolean {
  return FIRST <= time.getTime() && time.getTime() <= LAST;
}
