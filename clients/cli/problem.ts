// What went wrong, in words that say what to do next, and an exit code that says it to scripts.
import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema } from "../../packages/api/gen/google/rpc/error_details_pb.ts";
import { retryAfterMs } from "../edge/retry.ts";
import { Exit } from "./exit.ts";
import { clean, type Terminal } from "./terminal.ts";
import { span } from "./words.ts";

/** Found before the shop was asked: a value that makes no sense, or a name that is nobody's. */
export class Problem extends Error {
  readonly exit: number;
  readonly next: string;
  constructor(exit: number, message: string, next = "") {
    super(message);
    this.exit = exit;
    this.next = next;
  }
}

const EXITS: Partial<Record<Code, number>> = {
  [Code.InvalidArgument]: Exit.USAGE,
  [Code.Unauthenticated]: Exit.NOT_ALLOWED,
  [Code.PermissionDenied]: Exit.NOT_ALLOWED,
  [Code.NotFound]: Exit.NOT_FOUND,
  [Code.AlreadyExists]: Exit.REFUSED,
  [Code.FailedPrecondition]: Exit.REFUSED,
  [Code.OutOfRange]: Exit.REFUSED,
  [Code.Aborted]: Exit.REFUSED,
  [Code.Unavailable]: Exit.TRY_LATER,
  [Code.DeadlineExceeded]: Exit.TRY_LATER,
  [Code.ResourceExhausted]: Exit.TRY_LATER,
};

/** By reason first, then by code. */
const NEXT: Record<string, string> = {
  UNAUTHENTICATED: "log in: bodega login EMAIL",
  PERMISSION_DENIED: "log in as somebody who may: bodega login EMAIL, then --as EMAIL",
  CREDENTIALS_INVALID: "check address and password, or make an account: bodega users create EMAIL",
  EMAIL_NOT_VERIFIED: "redeem the mailed code: bodega users verify EMAIL CODE --ticket TICKET",
  CHALLENGE_INVALID: "log in again: bodega login EMAIL",
  TOTP_NOT_ENROLLED: "make a secret first: bodega totp enable",
  NOT_ENOUGH_POINTS: "see what there is: bodega points show; an admin can give some: bodega points grant USER AMOUNT",
  PRODUCT_NOT_FOUND: "see what there is: bodega products list",
  ORDER_NOT_FOUND: "see your orders: bodega orders list; an admin sees everybody's",
  TICKET_NOT_FOUND: "see the tickets: bodega kitchen list",
  ORDER_NOT_PAYABLE: "see how it stands: bodega orders show ORDER",
  ILLEGAL_MOVE: "see how it stands: bodega orders show ORDER, bodega kitchen list",
  NOT_CAPTURED: "see its story: bodega orders timeline ORDER",
  NOT_ENOUGH_ON_HAND: "see what is promised: bodega stock show PRODUCT",
  SKU_TAKEN: "choose another SKU; see those there are: bodega products list",
  UNAVAILABLE: "is it running? bun dev starts one; --url or BODEGA_URL names another; bodega doctor looks closer",
};

export interface Told {
  exit: number;
  code: string;
  reason: string;
  message: string;
  violations: { field: string; description: string }[];
  next: string;
}

export function tell(error: unknown): Told {
  if (error instanceof Problem)
    return { exit: error.exit, code: "", reason: "", message: error.message, violations: [], next: error.next };
  if (!(error instanceof ConnectError)) throw error;
  const code = Code[error.code].replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
  const reason = error.findDetails(ErrorInfoSchema)[0]?.reason ?? "";
  const again = retryAfterMs(error);
  return {
    exit: EXITS[error.code] ?? Exit.FAILED,
    code,
    reason,
    message: error.rawMessage,
    violations: error
      .findDetails(BadRequestSchema)
      .flatMap(({ fieldViolations }) => fieldViolations)
      .map(({ field, description }) => ({ field, description })),
    next: NEXT[reason] ?? NEXT[code] ?? (again === undefined ? "" : `try again in ${span(again)}`),
  };
}

export function print(told: Told, terminal: Terminal): void {
  const { reason, code, message, violations, next } = told;
  const what = [reason || code, violations.length > 0 ? "" : message].filter(Boolean).join(": ");
  terminal.line(terminal.tone("bad", clean(what)));
  for (const { field, description } of violations) terminal.line(`  ${clean(field)}: ${clean(description)}`);
  if (next) terminal.line(`Next: ${next}`);
}
