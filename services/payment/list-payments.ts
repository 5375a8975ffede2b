import type { ListPaymentsRequest } from "../../packages/api/gen/bodega/payment/v1/payment_pb.ts";
import type { App } from "../../packages/service/app.ts";
import { type Caller, ownerOf } from "../../packages/service/caller.ts";
import { readPage } from "../../packages/service/paging.ts";
import type { PaymentConfig } from "./config.ts";
import { paymentMessage } from "./payment.ts";
import { listPaymentRows } from "./store.ts";

/** Newest first: ids are in the order of their making. */
export async function listPayments(app: App<PaymentConfig>, caller: Caller, req: ListPaymentsRequest) {
  const { orderId } = req;
  const { page, nextPageToken } = await readPage(
    req,
    { orderId },
    (before, rowsMax) => listPaymentRows(app.sql, ownerOf(caller), orderId, before, rowsMax),
    (row) => row.payment_id,
  );
  return { payments: page.map(paymentMessage), nextPageToken };
}
