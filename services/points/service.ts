import {
  OrderCancelled,
  OrderCompleted,
  OrderPaid,
  PaymentRefunded,
  PaymentRefundReversed,
  UserRegistered,
} from "../../packages/api/facts.ts";
import { PointsService } from "../../packages/api/gen/bodega/points/v1/points_pb.ts";
import { ResolveHold, SettleHold } from "../../packages/api/jobs.ts";
import { forever } from "../../packages/database/retention.ts";
import { answers, doesMany, on, onMany, service } from "../../packages/service/service.ts";
import type { Environment } from "../../packages/service/variables.ts";
import { type PointsConfig, readConfig } from "./config.ts";
import { getBalance } from "./get-balance.ts";
import { getHold } from "./get-hold.ts";
import { grantPoints } from "./grant-points.ts";
import { listEntries } from "./list-entries.ts";
import { onOrderCancelled } from "./on-order-cancelled.ts";
import { onOrderCompleted } from "./on-order-completed.ts";
import { onOrderPaid } from "./on-order-paid.ts";
import { onPaymentRefunded } from "./on-payment-refunded.ts";
import { onUserRegistered } from "./on-user-registered.ts";
import { prepareHold } from "./prepare-hold.ts";
import { reconcile, SEAL } from "./reconcile.ts";
import { resolveHolds } from "./resolve-hold.ts";
import { settleHolds } from "./settle-hold.ts";

/** Points in one currency: held, spent, earned on money that was kept, and taken back with it. */
export const points = (env: Environment) =>
  service<PointsConfig>({
    name: "points",
    config: readConfig(env),
    migrations: new URL("./migrations/", import.meta.url),
    keeps: [
      forever("accounts", "a row a user"),
      forever("holds", "a decision that comes again finds what became of its hold"),
      forever("ledger", "the business's record"),
      forever("ledger_seals", "a row a user"),
      forever("refunded_payments", "an order earns on what is kept, whichever is heard first"),
    ],
    answers: [answers(PointsService, { getBalance, listEntries, grantPoints, prepareHold, getHold, reconcile })],
    hears: [
      onMany(UserRegistered, onUserRegistered),
      onMany(OrderPaid, onOrderPaid),
      onMany(OrderCancelled, onOrderCancelled),
      onMany(OrderCompleted, onOrderCompleted),
      on(PaymentRefunded, onPaymentRefunded),
      on(PaymentRefundReversed, onPaymentRefunded),
    ],
    does: [doesMany(ResolveHold, resolveHolds), doesMany(SettleHold, settleHolds)],
    schedules: [SEAL],
  });
