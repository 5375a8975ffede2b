import type { ListPaymentsRequest } from "../../packages/api/gen/bodega/payment/v1/payment_pb.ts";
import { isUuid } from "../../packages/database/ids.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { invalidField } from "../../packages/service/errors.ts";
import type { PaymentConfig } from "./config.ts";
import { paymentMessage } from "./payment.ts";
import { listPaymentRows } from "./store.ts";

const PAGE_SIZE = 50;

/** Newest first. The token is the last id of the page: ids are in the order of their making. */
export async function listPayments(
  app: App<PaymentConfig>,
  caller: Caller,
  { pageSize, pageToken, orderId }: ListPaymentsRequest,
) {
  if (pageToken && !isUuid(pageToken)) throw invalidField("page_token", "is not a token this list gave");
  const size = pageSize || PAGE_SIZE;
  const rows = await listPaymentRows(app.sql, caller, orderId, pageToken || null, size + 1);
  const page = rows.slice(0, size);
  return {
    payments: page.map(paymentMessage),
    nextPageToken: rows.length > size ? (page.at(-1)?.payment_id ?? "") : "",
  };
}
