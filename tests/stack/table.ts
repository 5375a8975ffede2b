// What each event has cost: of the requests that ended during it, and of the orders that were acknowledged during it.
import { doubledKeys, forgottenMails, forgottenTimers, lostOrders, unfinishedOrders } from "../chaos/checks.ts";
import type { Attempt } from "../chaos/client.ts";
import type { Acknowledgement } from "../chaos/load.ts";
import type { State } from "../chaos/state.ts";
import type { Event } from "./events.ts";

/** An event that was, with the time that belongs to it. */
export interface Passed {
  event: Event;
  from: number;
  to: number;
  /** What was acknowledged in that time. */
  acknowledged: Acknowledgement[];
  /** Why it did not go as it has to. */
  wrong?: string;
}

export interface Row {
  event: string;
  requests: number;
  failed: number;
  /** Of those that place an order. */
  ordersFailed: number;
  longestMs: number;
  lost: number;
  doubled: number;
  forgotten: number;
  /** What is against the bar, in sentences. */
  findings: string[];
}

const PLACE = /^POST (\/v1\/orders|\/bodega\.order\.v1\.OrderService\/PlaceOrder)$/;

export function rowOf({ event, from, to, acknowledged, wrong }: Passed, attempts: Attempt[], state: State): Row {
  const during = attempts.filter(({ endedAt }) => endedAt >= from && endedAt < to);
  const failures = during.filter(({ failed }) => failed);
  const ordersFailed = failures.filter(({ what }) => PLACE.test(what)).length;
  const ids = new Set(acknowledged.map(({ orderId }) => orderId));
  const its = { ...state, acknowledged, orders: state.orders.filter(({ orderId }) => ids.has(orderId)) };
  const sentences = {
    lost: lostOrders(its),
    doubled: doubledKeys(its),
    forgotten: [...forgottenTimers(its), ...unfinishedOrders(its), ...forgottenMails(its).filter(isAbout(ids))],
  };
  const longestMs = Math.max(0, ...during.map(({ waitedMs }) => waitedMs));
  const { stallMsMax = Number.POSITIVE_INFINITY } = event;
  const spared = { all: failures.length, orders: ordersFailed, none: 0 }[event.spares];
  return {
    event: event.what,
    requests: during.length,
    failed: failures.length,
    ordersFailed,
    longestMs,
    lost: sentences.lost.length,
    doubled: sentences.doubled.length,
    forgotten: sentences.forgotten.length,
    findings: [
      ...(wrong ? [wrong] : []),
      ...(acknowledged.length === 0 ? ["no order was acknowledged meanwhile: nothing was tested"] : []),
      ...(spared > 0 ? [`${spared} requests failed: ${kindsOf(failures)}`] : []),
      ...(longestMs > stallMsMax ? [`somebody waited for ${longestMs} ms, expected ${stallMsMax} at most`] : []),
      ...sentences.lost,
      ...sentences.doubled,
      ...sentences.forgotten,
    ],
  };
}

function isAbout(ids: Set<string>): (sentence: string) => boolean {
  return (sentence) => [...ids].some((id) => sentence.includes(id));
}

/** Such as "2 × POST /v1/orders". */
export function kindsOf(failures: Attempt[]): string {
  const kinds = Map.groupBy(failures, ({ what }) => what.replaceAll(/[0-9a-f-]{36}/g, "…"));
  return Array.from(kinds, ([what, of]) => `${of.length} × ${what}`).join(", ");
}

const HEADS = ["event", "requests", "failed", "orders failed", "longest stall", "lost", "doubled", "forgotten"];

export function tableOf(rows: Row[]): string[] {
  const cells = rows.map((row) => [
    row.event,
    ...[row.requests, row.failed, row.ordersFailed].map(String),
    `${(row.longestMs / 1_000).toFixed(1)} s`,
    ...[row.lost, row.doubled, row.forgotten].map(String),
  ]);
  const all = [HEADS, ...cells];
  const widths = HEADS.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  return all.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join("  "),
  );
}
