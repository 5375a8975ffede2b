import { type Timestamp, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { CancelReason, OrderStatus, Reservation } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { invalidField, refused } from "../../packages/service/errors.ts";
import { hoursText, type SaleHours, saleAt } from "../../packages/service/sale-hours.ts";

export type Status = "PENDING" | "PAID" | "COMPLETED" | "CANCELLED";
export type Held = "AWAITING" | "RESERVED" | "REJECTED" | "RELEASED" | "COMMITTED";
export type Reason = "OUT_OF_STOCK" | "EXPIRED" | "CUSTOMER" | "ADMIN" | "REFUNDED";

const HOUR_MS = 3_600_000;
/** When an unpaid order is reminded, after it was placed; the last one is its end. */
export const DEADLINES_MS = [4 * HOUR_MS, 12 * HOUR_MS, 22 * HOUR_MS, 24 * HOUR_MS] as const;
export const EXPIRY_STEP = 3;
const EXPIRY_MS = 24 * HOUR_MS;
/** A reservation takes about this long. */
const RESERVATION_MS = 200;
const QUANTITY_MAX = 1_000;
const TOTAL_MINOR_UNITS_MAX = 10n ** 15n;

/** Which states an order may move to; anything else is refused. */
export const MOVES: Record<Status, readonly Status[]> = {
  PENDING: ["PAID", "CANCELLED"],
  PAID: ["COMPLETED", "CANCELLED"],
  COMPLETED: [],
  CANCELLED: [],
};

export interface Line {
  productId: string;
  name: string;
  quantity: number;
  unitPriceMinorUnits: bigint;
  prepared: boolean;
}

export interface Order {
  orderId: string;
  customerId: string;
  status: Status;
  reservation: Held;
  lines: Line[];
  currencyCode: string;
  totalMinorUnits: bigint;
  createdAt: Date;
  expiresAt: Date;
  paidAt: Date | null;
  paymentId: string | null;
  /** The hold on points that paid it, and how many they were. */
  holdId: string | null;
  points: bigint | null;
  /** What of its payment was given back. */
  refundedMinorUnits: bigint;
  cancelledAt: Date | null;
  cancelReason: Reason | null;
  completedAt: Date | null;
  version: bigint;
}

export interface CatalogueEntry {
  productId: string;
  name: string;
  currencyCode: string;
  priceMinorUnits: bigint;
  prepared: boolean;
  archived: boolean;
  /** It is sold while one of them is open; at any time, where there are none. */
  menus: SaleHours[];
}

/** Lines as the customer asked for them, merged per product and priced from the catalogue. Refuses what cannot be sold, by field. */
export function priceLines(
  catalogue: Map<string, CatalogueEntry>,
  asked: { productId: string; quantity: number }[],
  now: Date,
): { lines: Line[]; currencyCode: string } {
  const merged = new Map<string, Line>();
  let currencyCode = "";
  asked.forEach(({ productId, quantity }, index) => {
    const entry = catalogue.get(productId);
    if (!entry || entry.archived)
      throw invalidField(`lines[${index}].product_id`, `product ${productId} is not for sale`);
    refuseOutOfHours(entry, `lines[${index}].product_id`, now);
    if (currencyCode && entry.currencyCode !== currencyCode) {
      throw invalidField(
        `lines[${index}].product_id`,
        `an order has one currency: this product is sold in ${entry.currencyCode}, the lines before in ${currencyCode}`,
      );
    }
    currencyCode = entry.currencyCode;
    const line = merged.get(productId);
    const total = (line?.quantity ?? 0) + quantity;
    if (total > QUANTITY_MAX)
      throw invalidField(`lines[${index}].quantity`, `at most ${QUANTITY_MAX} of one product, not ${total}`);
    merged.set(productId, {
      productId,
      name: entry.name,
      quantity: total,
      unitPriceMinorUnits: entry.priceMinorUnits,
      prepared: entry.prepared,
    });
  });
  return { lines: [...merged.values()], currencyCode };
}

function refuseOutOfHours({ productId, name, menus }: CatalogueEntry, field: string, now: Date): void {
  const sale = saleAt(menus, now);
  if (sale.onSale) return;
  const hours = menus.map((menu) => `${menu.title} ${hoursText(menu)}`).join(", or ");
  const next = sale.at ? `next from ${sale.at.toISOString()}` : "and never again";
  throw refused(
    Code.FailedPrecondition,
    "NOT_ON_SALE",
    `${field}: product ${productId}, ${name}, is not on sale now: expected an order within ${hours}, ${next}`,
  );
}

export function newOrder(
  orderId: string,
  customerId: string,
  { lines, currencyCode }: { lines: Line[]; currencyCode: string },
  now: Date,
): Order {
  const totalMinorUnits = lines.reduce((sum, line) => sum + line.unitPriceMinorUnits * BigInt(line.quantity), 0n);
  if (totalMinorUnits > TOTAL_MINOR_UNITS_MAX)
    throw invalidField("lines", `the total of ${totalMinorUnits} is above ${TOTAL_MINOR_UNITS_MAX} minor units`);
  return {
    orderId,
    customerId,
    status: "PENDING",
    reservation: "AWAITING",
    lines,
    currencyCode,
    totalMinorUnits,
    createdAt: now,
    expiresAt: new Date(now.getTime() + EXPIRY_MS),
    paidAt: null,
    paymentId: null,
    holdId: null,
    points: null,
    refundedMinorUnits: 0n,
    cancelledAt: null,
    cancelReason: null,
    completedAt: null,
    version: 1n,
  };
}

export function deadlineAt(createdAt: Date, step: number): Date {
  const ms = DEADLINES_MS[step];
  if (ms === undefined) throw new Error(`an order has ${DEADLINES_MS.length} deadlines, no step ${step}`);
  return new Date(createdAt.getTime() + ms);
}

/** What an unpaid order keeps from others. */
export function unitsOf({ lines }: Pick<Order, "lines">): number {
  return lines.reduce((sum, line) => sum + line.quantity, 0);
}

/** Nothing of what was paid is kept. A free order was never paid. */
export function isRefunded({ refundedMinorUnits, totalMinorUnits }: Order): boolean {
  return totalMinorUnits > 0n && refundedMinorUnits >= totalMinorUnits;
}

/** The customer has seen another sum than the one to pay. */
export function refuseOtherTotal(order: Order, expected: { currencyCode: string; minorUnits: bigint }): void {
  const { currencyCode, totalMinorUnits } = order;
  if (expected.currencyCode === currencyCode && expected.minorUnits === totalMinorUnits) return;
  throw refused(
    Code.FailedPrecondition,
    "PRICES_CHANGED",
    `the total is ${totalMinorUnits} ${currencyCode} minor units now, not ${expected.minorUnits} ${expected.currencyCode}`,
  );
}

export function needsKitchen({ lines }: Pick<Order, "lines">): boolean {
  return lines.some((line) => line.prepared);
}

export function illegalMove(orderId: string, from: Status, to: Status) {
  const allowed = MOVES[from].length > 0 ? `may become ${MOVES[from].join(" or ")}` : "is final";
  return refused(Code.FailedPrecondition, "ILLEGAL_MOVE", `order ${orderId} is ${from}, which ${allowed}, not ${to}`);
}

/** An order is paid when its goods are there, and once. */
export function refuseUnpayable({ orderId, status, reservation }: Order): void {
  if (status === "PENDING" && reservation === "RESERVED") return;
  if (status === "PENDING" && reservation === "AWAITING") {
    throw refused(
      Code.FailedPrecondition,
      "NOT_RESERVED_YET",
      `order ${orderId} waits for its reservation: ask again`,
      RESERVATION_MS,
    );
  }
  throw refused(
    Code.FailedPrecondition,
    "ORDER_NOT_PAYABLE",
    `order ${orderId} is ${status} and ${reservation}: expected PENDING and RESERVED`,
  );
}

/** The order as clients see it. */
export function orderMessage(order: Order) {
  return {
    orderId: order.orderId,
    customerId: order.customerId,
    status: OrderStatus[order.status],
    lines: lineMessages(order),
    total: money(order, order.totalMinorUnits),
    reservation: Reservation[order.reservation],
    createdAt: timestampFromDate(order.createdAt),
    expiresAt: timestampFromDate(order.expiresAt),
    ...timestamps({ paidAt: order.paidAt, cancelledAt: order.cancelledAt, completedAt: order.completedAt }),
    cancelReason: order.cancelReason ? CancelReason[order.cancelReason] : CancelReason.UNSPECIFIED,
    version: order.version,
    paidPoints: order.points ?? 0n,
    ...(order.refundedMinorUnits > 0n && { refunded: money(order, order.refundedMinorUnits) }),
  };
}

export function lineMessages(order: Pick<Order, "lines" | "currencyCode">) {
  return order.lines.map(({ productId, name, quantity, unitPriceMinorUnits, prepared }) => ({
    productId,
    name,
    quantity,
    unitPrice: money(order, unitPriceMinorUnits),
    prepared,
  }));
}

export function money({ currencyCode }: Pick<Order, "currencyCode">, minorUnits: bigint) {
  return { currencyCode, minorUnits };
}

/** Only the times that are set: an unset field is left out of a message. */
function timestamps<K extends string>(times: Record<K, Date | null>): Partial<Record<K, Timestamp>> {
  const set: Partial<Record<K, Timestamp>> = {};
  for (const name in times) {
    const time = times[name];
    if (time) set[name] = timestampFromDate(time);
  }
  return set;
}
