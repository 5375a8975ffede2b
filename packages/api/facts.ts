import {
  UserDeletedSchema,
  UserEmailChangedSchema,
  UserRegisteredSchema,
  UserVerifiedSchema,
} from "./gen/bodega/auth/v1/events_pb.ts";
import { SumCalculatedSchema } from "./gen/bodega/canary/v1/events_pb.ts";
import { AuditRecordedSchema } from "./gen/bodega/eventlog/v1/events_pb.ts";
import {
  TicketAcceptedSchema,
  TicketCancelledSchema,
  TicketHandedOverSchema,
  TicketQueuedSchema,
  TicketReadySchema,
} from "./gen/bodega/kitchen/v1/events_pb.ts";
import {
  OrderCancelledSchema,
  OrderCompletedSchema,
  OrderCreatedSchema,
  OrderPaidSchema,
} from "./gen/bodega/order/v1/events_pb.ts";
import {
  PaymentCapturedSchema,
  PaymentFailedSchema,
  PaymentRefundedSchema,
  PaymentRefundReversedSchema,
} from "./gen/bodega/payment/v1/events_pb.ts";
import {
  PointsCommittedSchema,
  PointsGrantedSchema,
  PointsHeldSchema,
  PointsReleasedSchema,
  PointsTakenBackSchema,
} from "./gen/bodega/points/v1/events_pb.ts";
import {
  MenuChangedSchema,
  ProductArchivedSchema,
  ProductCreatedSchema,
  ProductUnarchivedSchema,
  ProductUpdatedSchema,
} from "./gen/bodega/product/v1/events_pb.ts";
import {
  StockChangedSchema,
  StockCommittedSchema,
  StockRejectedSchema,
  StockReleasedSchema,
  StockReservedSchema,
} from "./gen/bodega/stock/v1/events_pb.ts";
import { fact } from "./messages.ts";

// Every fact of the platform. The type names the topic, unless another is given; the key is the aggregate's id.

export const UserRegistered = fact("user.registered", UserRegisteredSchema, (body) => body.userId);
export const UserVerified = fact("user.verified", UserVerifiedSchema, (body) => body.userId);
export const UserEmailChanged = fact("user.email_changed", UserEmailChangedSchema, (body) => body.userId);
export const UserDeleted = fact("user.deleted", UserDeletedSchema, (body) => body.userId);

export const ProductCreated = fact("product.created", ProductCreatedSchema, (body) => body.productId);
export const ProductUpdated = fact("product.updated", ProductUpdatedSchema, (body) => body.productId);
export const ProductArchived = fact("product.archived", ProductArchivedSchema, (body) => body.productId);
export const ProductUnarchived = fact("product.unarchived", ProductUnarchivedSchema, (body) => body.productId);

// Beside the products that it is of.
export const MenuChanged = fact("menu.changed", MenuChangedSchema, (body) => body.collection, "product");

export const StockReserved = fact("stock.reserved", StockReservedSchema, (body) => body.orderId);
export const StockRejected = fact("stock.rejected", StockRejectedSchema, (body) => body.orderId);
export const StockReleased = fact("stock.released", StockReleasedSchema, (body) => body.orderId);
export const StockCommitted = fact("stock.committed", StockCommittedSchema, (body) => body.orderId);
export const StockChanged = fact("stock.changed", StockChangedSchema, (body) => body.productId);

export const OrderCreated = fact("order.created", OrderCreatedSchema, (body) => body.orderId);
export const OrderPaid = fact("order.paid", OrderPaidSchema, (body) => body.orderId);
export const OrderCompleted = fact("order.completed", OrderCompletedSchema, (body) => body.orderId);
export const OrderCancelled = fact("order.cancelled", OrderCancelledSchema, (body) => body.orderId);

export const PaymentCaptured = fact("payment.captured", PaymentCapturedSchema, (body) => body.paymentId);
export const PaymentFailed = fact("payment.failed", PaymentFailedSchema, (body) => body.paymentId);
export const PaymentRefunded = fact("payment.refunded", PaymentRefundedSchema, (body) => body.paymentId);
export const PaymentRefundReversed = fact(
  "payment.refund_reversed",
  PaymentRefundReversedSchema,
  (body) => body.paymentId,
);

// Of one account in order: a grant, then a hold, then what became of it.
export const PointsGranted = fact("points.granted", PointsGrantedSchema, (body) => body.userId);
export const PointsTakenBack = fact("points.taken_back", PointsTakenBackSchema, (body) => body.userId);
export const PointsHeld = fact("points.held", PointsHeldSchema, (body) => body.userId);
export const PointsCommitted = fact("points.committed", PointsCommittedSchema, (body) => body.userId);
export const PointsReleased = fact("points.released", PointsReleasedSchema, (body) => body.userId);

export const TicketQueued = fact("ticket.queued", TicketQueuedSchema, (body) => body.ticketId);
export const TicketAccepted = fact("ticket.accepted", TicketAcceptedSchema, (body) => body.ticketId);
export const TicketReady = fact("ticket.ready", TicketReadySchema, (body) => body.ticketId);
export const TicketHandedOver = fact("ticket.handed_over", TicketHandedOverSchema, (body) => body.ticketId);
export const TicketCancelled = fact("ticket.cancelled", TicketCancelledSchema, (body) => body.ticketId);

export const SumCalculated = fact("sum.calculated", SumCalculatedSchema, (body) => body.sumId, "user-events");

// Of whichever service somebody with power has used: packages/service/audit.ts.
export const AuditRecorded = fact("audit.recorded", AuditRecordedSchema, (body) => body.subject);
