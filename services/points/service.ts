import { OrderCancelled, OrderCompleted, OrderPaid } from "../../packages/api/facts.ts";
import { PointsService } from "../../packages/api/gen/bodega/points/v1/points_pb.ts";
import { ResolveHold, SettleHold } from "../../packages/api/jobs.ts";
import { answers, doesMany, onMany, service } from "../../packages/service/service.ts";
import { getBalance } from "./get-balance.ts";
import { getHold } from "./get-hold.ts";
import { grantPoints } from "./grant-points.ts";
import { listEntries } from "./list-entries.ts";
import { onOrderCancelled } from "./on-order-cancelled.ts";
import { onOrderCompleted } from "./on-order-completed.ts";
import { onOrderPaid } from "./on-order-paid.ts";
import { prepareHold } from "./prepare-hold.ts";
import { reconcile } from "./reconcile.ts";
import { resolveHolds } from "./resolve-hold.ts";
import { settleHolds } from "./settle-hold.ts";

export const points = () =>
  service<undefined>({
    name: "points",
    config: undefined,
    migrations: new URL("./migrations/", import.meta.url),
    answers: [answers(PointsService, { getBalance, listEntries, grantPoints, prepareHold, getHold, reconcile })],
    hears: [
      onMany(OrderPaid, onOrderPaid),
      onMany(OrderCancelled, onOrderCancelled),
      onMany(OrderCompleted, onOrderCompleted),
    ],
    does: [doesMany(ResolveHold, resolveHolds), doesMany(SettleHold, settleHolds)],
  });
