import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { bodyText } from "../../packages/api/body-text.ts";
import type { SealedEntry } from "./store.ts";

/** An entry as it is told. */
export function eventMessage(entry: SealedEntry) {
  const { sequence, type, subject, source, time, traceparent, body, hash } = entry;
  return {
    ...{ sequence, type, subject, source, hash },
    eventId: entry.event_id,
    time: timestampFromDate(time),
    recordedAt: timestampFromDate(entry.recorded_at),
    traceId: traceparent.split("-")[1] ?? "",
    correlationId: entry.correlation_id,
    orderId: entry.order_id ?? "",
    body: bodyText(type, body),
  };
}

export const isSequence = (text: string) => /^\d{1,18}$/.test(text);
