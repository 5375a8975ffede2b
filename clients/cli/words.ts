// Values as people read them.
import type { DescEnum } from "@bufbuild/protobuf";
import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import type { Money } from "../../packages/api/gen/bodega/type/v1/money_pb.ts";
import { moneyText } from "../../packages/api/money.ts";

export const money = (amount: Money | undefined) => (amount ? moneyText(amount, "code") : "");

/** In UTC, to the second. */
export const time = (at: Timestamp | undefined) =>
  at ? timestampDate(at).toISOString().replace("T", " ").replace(/\.\d+/, "") : "";

/** PENDING for ORDER_STATUS_PENDING; empty for what is unset. */
export function word(schema: DescEnum, value: number): string {
  return value === 0 ? "" : (schema.value[value]?.localName ?? String(value));
}

/** 850 ms, 12.5 s, 3 min 20 s, 4 h 00 min, 2 d 3 h. */
export function span(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  const [minutes, hours] = [Math.floor(ms / 60_000), Math.floor(ms / 3_600_000)];
  if (hours < 1) return `${minutes} min ${Math.floor(ms / 1_000) % 60} s`;
  if (hours < 24) return `${hours} h ${String(minutes % 60).padStart(2, "0")} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}
