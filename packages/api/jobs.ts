import { CancelTicketSchema, WorkTicketSchema } from "./gen/bodega/kitchen/v1/events_pb.ts";
import {
  DeliverMailSchema,
  SendAccountNoticeSchema,
  SendAddressTakenSchema,
  SendPasswordResetSchema,
  SendPaymentReminderSchema,
  SendVerificationCodeSchema,
} from "./gen/bodega/mail/v1/events_pb.ts";
import { DecideHoldSchema, PaymentDeadlineSchema } from "./gen/bodega/order/v1/events_pb.ts";
import {
  ApplyProviderEventSchema,
  CloseCheckoutSchema,
  DeliverWebhookSchema,
  ReadWebhookSchema,
  RefundCancelledOrderSchema,
  RequestRefundSchema,
} from "./gen/bodega/payment/v1/events_pb.ts";
import { ResolveHoldSchema, SettleHoldSchema } from "./gen/bodega/points/v1/events_pb.ts";
import { ContinueImportSchema } from "./gen/bodega/product/v1/events_pb.ts";
import { job } from "./messages.ts";

// Every job of the platform. The first word names the service that does it.

export const PaymentDeadline = job("order", "payment-deadline", PaymentDeadlineSchema, (body) => body.orderId);

export const DecideHold = job("order", "decide-hold", DecideHoldSchema, (body) => body.orderId);

export const ResolveHold = job("points", "resolve-hold", ResolveHoldSchema, (body) => body.holdId);
export const SettleHold = job("points", "settle-hold", SettleHoldSchema, (body) => body.holdId);

// Named on the wire after what it was first for. Orders that are paid twice ask for it too.
export const RefundRemainder = job(
  "payment",
  "refund-cancelled-order",
  RefundCancelledOrderSchema,
  (body) => body.paymentId,
);
export const RequestRefund = job("payment", "request-refund", RequestRefundSchema, (body) => body.paymentId);
export const ReadWebhook = job("payment", "read-webhook", ReadWebhookSchema, (body) => body.webhookId);
export const CloseCheckout = job("payment", "close-checkout", CloseCheckoutSchema, (body) => body.paymentId);
export const ApplyProviderEvent = job(
  "payment",
  "apply-provider-event",
  ApplyProviderEventSchema,
  (body) => body.paymentId,
);
export const DeliverWebhook = job("payment", "deliver-webhook", DeliverWebhookSchema, (body) => body.paymentId);

export const ContinueImport = job("product", "continue-import", ContinueImportSchema, (body) => body.importId);

export const CancelTicket = job("kitchen", "cancel-ticket", CancelTicketSchema, (body) => body.orderId);
export const WorkTicket = job("kitchen", "work-ticket", WorkTicketSchema, (body) => body.ticketId);

export const SendVerificationCode = job(
  "mail",
  "send-verification-code",
  SendVerificationCodeSchema,
  (body) => body.userId,
);
export const SendPasswordReset = job("mail", "send-password-reset", SendPasswordResetSchema, (body) => body.userId);
export const SendAddressTaken = job("mail", "send-address-taken", SendAddressTakenSchema, (body) => body.userId);
export const SendAccountNotice = job("mail", "send-account-notice", SendAccountNoticeSchema, (body) => body.userId);
export const SendPaymentReminder = job(
  "mail",
  "send-payment-reminder",
  SendPaymentReminderSchema,
  (body) => body.orderId,
);
export const DeliverMail = job("mail", "deliver", DeliverMailSchema, (body) => body.mailId);
