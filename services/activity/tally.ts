import { type DescMessage, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import {
  OrderCancelled,
  OrderCreated,
  OrderPaid,
  PaymentRefunded,
  PaymentRefundReversed,
} from "../../packages/api/facts.ts";
import { CancelReasonSchema } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import type { Money } from "../../packages/api/gen/bodega/type/v1/money_pb.ts";
import type { Fact } from "../../packages/api/messages.ts";
import { invalidField } from "../../packages/service/errors.ts";
import { QUARTER_MS } from "./zone.ts";

/** What is to be counted of a fact. */
export interface Happened {
  type: string;
  time: Date;
  body: Uint8Array;
}

/** So many facts of one type in a quarter hour. */
export type CountRow = {
  at: Date;
  type: string;
  quantity: bigint;
};

export type Kind = "PLACED" | "PAID" | "PAID_IN_POINTS" | "CANCELLED" | "REFUNDED" | "REFUND_REVERSED";

/** So much money of one kind and currency in a quarter hour. */
export type TakingRow = {
  at: Date;
  kind: Kind;
  /** A cancelled order's, else empty. */
  reason: string;
  currency_code: string;
  quantity: bigint;
  minor_units: bigint;
};

const TYPE = /^[a-z][\w-]{0,31}\.[a-z][\w-]{0,31}$/;

/** Adds facts up. Both lists are in the order of their keys, so that two batches lock rows in one order. */
export function tally(facts: Happened[]): { counts: CountRow[]; takings: TakingRow[] } {
  const counts = new Map<string, CountRow>();
  const takings = new Map<string, TakingRow>();
  for (const fact of facts) {
    const { type } = fact;
    const at = quarterOf(fact);
    addUp(counts, `${at.toISOString()} ${type}`, { at, type, quantity: 1n });
    const taken = TAKEN[type]?.(fact.body);
    if (taken)
      addUp(takings, `${at.toISOString()} ${taken.kind} ${taken.reason} ${taken.currency_code}`, { at, ...taken });
  }
  return { counts: sorted(counts), takings: sorted(takings) };
}

/** What one fact counts for; throws INVALID_ARGUMENT for one that cannot be read. */
export function weigh(fact: Happened): { at: Date; type: string; taken: Taken | undefined } {
  const { type, body } = fact;
  return { at: quarterOf(fact), type, taken: TAKEN[type]?.(body) };
}

/** Counted by when it happened, not by when it came. */
function quarterOf({ type, time }: Happened): Date {
  if (!TYPE.test(type))
    throw invalidField("type", `expected a type such as order.created, found ${JSON.stringify(type)}`);
  const ms = time.getTime();
  if (!(ms >= 0)) throw invalidField("time", `expected a time since 1970, found ${time}`);
  return new Date(ms - (ms % QUARTER_MS));
}

function addUp<R extends { quantity: bigint; minor_units?: bigint }>(rows: Map<string, R>, key: string, row: R) {
  const sum = rows.get(key);
  if (!sum) rows.set(key, row);
  else {
    sum.quantity += row.quantity;
    if (sum.minor_units !== undefined) sum.minor_units += row.minor_units ?? 0n;
  }
}

function sorted<R>(rows: Map<string, R>): R[] {
  return [...rows.keys()].sort().flatMap((key) => rows.get(key) ?? []);
}

export type Taken = Omit<TakingRow, "at">;

/** Facts that tell of money. */
const TAKEN: Record<string, (body: Uint8Array) => Taken | undefined> = {
  [OrderCreated.type]: (body) => taken("PLACED", bodyOf(OrderCreated, body).total),
  [OrderPaid.type](body) {
    const { total, holdId } = bodyOf(OrderPaid, body);
    return taken(holdId ? "PAID_IN_POINTS" : "PAID", total);
  },
  [OrderCancelled.type](body) {
    const { total, reason } = bodyOf(OrderCancelled, body);
    return taken("CANCELLED", total, CancelReasonSchema.value[reason]?.localName ?? `${reason}`);
  },
  [PaymentRefunded.type]: (body) => taken("REFUNDED", bodyOf(PaymentRefunded, body).amount),
  [PaymentRefundReversed.type]: (body) => taken("REFUND_REVERSED", bodyOf(PaymentRefundReversed, body).amount),
};

function taken(kind: Kind, money: Money | undefined, reason = ""): Taken | undefined {
  return money && { kind, reason, currency_code: money.currencyCode, quantity: 1n, minor_units: money.minorUnits };
}

function bodyOf<M extends DescMessage>({ type, schema }: Fact<M>, body: Uint8Array): MessageShape<M> {
  try {
    return fromBinary(schema, body);
  } catch (error) {
    throw invalidField("body", `expected a ${schema.typeName} in ${type}, found something else: ${String(error)}`);
  }
}
