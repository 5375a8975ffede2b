import { Problem } from "../../packages/api/gen/bodega/payment/v1/payment_pb.ts";
import { isMovement, MOVEMENTS, MOVES, type Payment, type RefundStatus } from "./payment.ts";
import type { ProviderEvent } from "./provider/provider.ts";

export type ProblemName = Exclude<keyof typeof Problem, "UNSPECIFIED">;
export const PROBLEMS = Object.keys(Problem).filter(isProblem);

function isProblem(name: string): name is ProblemName {
  return name !== "UNSPECIFIED";
}

/** What of ours an entry of the provider's statement is about. */
export interface Ours {
  payment: Payment | undefined;
  /** Of a movement; undefined when we know of none. */
  refund: { status: RefundStatus; amount_minor_units: bigint } | undefined;
}

/** What is wrong between an entry of the provider's books and ours; null when they agree. */
export function compare(entry: ProviderEvent, { payment, refund }: Ours): ProblemName | null {
  const { kind, amount } = entry;
  if (!payment) return kind === "declined" || kind === "abandoned" ? null : "UNKNOWN_PAYMENT";
  if (payment.currency_code !== amount.currencyCode) return "DIFFERS";
  if (isMovement(kind)) return compareMovement(MOVEMENTS[kind].to, amount.minorUnits, payment, refund);
  if (payment.amount_minor_units !== amount.minorUnits) return "DIFFERS";
  return MOVES[kind].from.includes(payment.status) ? "MISSED" : null;
}

function compareMovement(
  expected: "DONE" | "REVERSED",
  minorUnits: bigint,
  payment: Payment,
  refund: Ours["refund"],
): ProblemName | null {
  if (refund && refund.amount_minor_units !== minorUnits) return "DIFFERS";
  if (refund?.status === expected) return null;
  // What never reached us and is over moved nothing.
  if (expected === "REVERSED") return refund || !payment.captured_at ? "MISSED" : null;
  return refund?.status === "REVERSED" ? "DIFFERS" : "MISSED";
}
