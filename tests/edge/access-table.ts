// Who may call what: written down a second time, by hand, so that an option changed in a proto by mistake is noticed.
import { AUTH_ACCESS } from "./access-auth.ts";
import type { Row } from "./access-rows.ts";
import type { Shop } from "./shop.ts";

const price = { currencyCode: "EUR", minorUnits: "450" };

/** By service and method; what follows a space tells several requests of one method apart. */
export const ACCESS: Record<string, Row> = {
  ...AUTH_ACCESS,
  "ProductService.CreateProduct": {
    who: "admin",
    request: (shop) => ({ requestId: shop.fresh(), sku: shop.fresh(), name: "Soup", price, collections: ["soups"] }),
  },
  "ProductService.UpdateProduct": {
    who: "admin",
    async request({ ask, fresh, productId }) {
      const reply = await ask("product.v1.ProductService/GetProduct", { productId });
      const { version } = (reply as { product: { version: string } }).product; // GetProduct's own shape.
      return { productId, expectedVersion: version, name: fresh() };
    },
  },
  "ProductService.ArchiveProduct": { who: "admin", request: ({ oldProductId }) => ({ productId: oldProductId }) },
  "ProductService.UnarchiveProduct": { who: "admin", request: ({ oldProductId }) => ({ productId: oldProductId }) },
  "ProductService.RebuildProducts": { who: "admin", request: () => ({ pageSize: 2, reason: "it looked odd" }) },
  "ProductService.GetProduct": { who: "anyone", request: ({ productId }) => ({ productId }) },
  "ProductService.ListProducts": { who: "anyone", request: () => ({ query: "burger", pageSize: 5 }) },
  "ProductService.GetProductHistory": { who: "admin", request: ({ productId }) => ({ productId }) },
  "ProductService.SetMenu": {
    who: "admin",
    request: (shop) => ({ collection: shop.fresh(), title: "Brunch", timeZone: "Europe/Berlin" }),
  },
  "ProductService.RemoveMenu": { who: "admin", request: ({ oldMenu }) => ({ collection: oldMenu }) },
  "ProductService.GetMenu": { who: "anyone", request: ({ menu }) => ({ collection: menu }) },
  "ProductService.ListMenus": { who: "anyone", request: () => ({ pageSize: 5 }) },
  "ProductService.ImportProducts": { who: "admin", request: (shop) => aFile(shop) },
  "ProductService.GetImport": { who: "admin", request: ({ importId }) => ({ importId }) },
  "ProductService.CancelImport": { who: "admin", request: ({ importId }) => ({ importId }) },

  "StockService.GetStock": { who: "signed in", request: ({ productId }) => ({ productId }) },
  "StockService.CheckAvailability": {
    who: "signed in",
    request: ({ productId }) => ({ lines: [{ productId, quantity: 1 }] }),
  },
  "StockService.AdjustStock": {
    who: "admin",
    request: ({ fresh, productId }) => ({ requestId: fresh(), productId, delta: 1, reason: "found one" }),
  },
  "StockService.ListReservations": { who: "admin", request: () => ({ status: "RESERVATION_STATUS_RESERVED" }) },
  "StockService.Reconcile": { who: "admin", request: () => ({}) },

  "OrderService.PlaceOrder": {
    who: "signed in",
    request: ({ fresh, productId }) => ({ requestId: fresh(), lines: [{ productId, quantity: 1 }] }),
  },
  "OrderService.GetOrder": {
    who: "owner",
    request: ({ orderId }) => ({ orderId }),
    nobodys: ({ nobodys }) => ({ orderId: nobodys }),
  },
  "OrderService.ListOrders": { who: "signed in", request: () => ({ status: "ORDER_STATUS_PENDING", pageSize: 5 }) },
  "OrderService.CancelOrder": {
    who: "owner",
    request: ({ doomedOrderId }) => ({ orderId: doomedOrderId }),
    nobodys: ({ nobodys }) => ({ orderId: nobodys }),
  },
  "OrderService.PayWithPoints": {
    who: "owner",
    notForAdmins: true,
    request: ({ fresh, orderId }) => ({ requestId: fresh(), orderId }),
    nobodys: ({ fresh, nobodys }) => ({ requestId: fresh(), orderId: nobodys }),
    refusal: "NOT_ENOUGH_POINTS",
  },
  "OrderService.WatchOrder": {
    who: "owner",
    request: ({ orderId }) => ({ orderId }),
    nobodys: ({ nobodys }) => ({ orderId: nobodys }),
  },
  "OrderService.GetOrderHistory": {
    who: "owner",
    request: ({ orderId }) => ({ orderId }),
    nobodys: ({ nobodys }) => ({ orderId: nobodys }),
  },

  "PaymentService.StartPayment": {
    who: "owner",
    notForAdmins: true,
    request: ({ orderId }) => ({ orderId }),
    nobodys: ({ nobodys }) => ({ orderId: nobodys }),
  },
  "PaymentService.GetPayment by its id": {
    who: "owner",
    request: ({ paymentId }) => ({ paymentId }),
    nobodys: ({ nobodys }) => ({ paymentId: nobodys }),
  },
  "PaymentService.GetPayment by its order": {
    who: "owner",
    request: ({ paidOrderId }) => ({ orderId: paidOrderId }),
    nobodys: ({ nobodys }) => ({ orderId: nobodys }),
  },
  "PaymentService.ListPayments": { who: "signed in", request: () => ({ pageSize: 5 }) },
  "PaymentService.RefundPayment": {
    who: "admin",
    request: ({ fresh, paymentId }) => ({
      requestId: fresh(),
      paymentId,
      amount: { currencyCode: "EUR", minorUnits: "1" },
      reason: "cold soup",
    }),
  },
  "PaymentService.Reconcile": { who: "admin", request: () => ({ hours: 1 }) },

  "PointsService.GetBalance": { who: "signed in", request: () => ({}) },
  "PointsService.GetBalance of somebody": {
    who: "owner",
    request: ({ users }) => ({ userId: users.owner }),
    nobodys: ({ nobodys }) => ({ userId: nobodys }),
  },
  "PointsService.ListEntries": { who: "signed in", request: () => ({ pageSize: 5 }) },
  "PointsService.ListEntries of somebody": {
    who: "owner",
    request: ({ users }) => ({ userId: users.owner, pageSize: 5 }),
    nobodys: ({ nobodys }) => ({ userId: nobodys, pageSize: 5 }),
  },
  "PointsService.GrantPoints": {
    who: "admin",
    request: ({ fresh, users }) => ({ requestId: fresh(), userId: users.other, amount: "1", reason: "a present" }),
  },
  "PointsService.PrepareHold": {
    who: "service",
    request: ({ orderId, users }) => ({ orderId, userId: users.owner, amount: "1" }),
  },
  "PointsService.GetHold": { who: "service", request: ({ orderId }) => ({ orderId }) },
  "PointsService.Reconcile": { who: "admin", request: () => ({}) },

  "KitchenService.ListTickets": { who: "kitchen", request: () => ({ status: "TICKET_STATUS_QUEUED" }) },
  "KitchenService.AcceptTicket": { who: "kitchen", request: ({ tickets }) => ({ ticketId: tickets.queued }) },
  "KitchenService.MarkReady": { who: "kitchen", request: ({ tickets }) => ({ ticketId: tickets.accepted }) },
  "KitchenService.HandOver": { who: "kitchen", request: ({ tickets }) => ({ ticketId: tickets.ready }) },
  // Of an order that has none: what a tombstone keeps from being made, no other row asks for.
  "KitchenService.CancelTicket": { who: "service", request: ({ nobodys }) => ({ orderId: nobodys }) },
  "KitchenService.WatchTickets": { who: "kitchen", request: () => ({}) },

  "MailService.ListMails": { who: "admin", request: ({ orderId }) => ({ orderId, status: "MAIL_STATUS_SENT" }) },
  "MailService.GetMail": { who: "admin", request: ({ mailId }) => ({ mailId }) },
  "MailService.ResendMail": { who: "admin", request: ({ mailId }) => ({ mailId }) },

  "CanaryService.CalculateSum": { who: "anyone", request: () => ({ a: "20", b: "22" }) },
  "CanaryService.GetTotals": { who: "admin", request: () => ({}) },

  "ActivityService.GetDay": {
    who: "admin",
    request: () => ({ date: "2026-01-05", timeZone: "Asia/Kathmandu", hourly: true }),
  },
  "ActivityService.ListDays": { who: "admin", request: () => ({ pageSize: 5 }) },
  "ActivityService.WatchToday": { who: "admin", request: () => ({}) },
  "ActivityService.RebuildDay": { who: "admin", request: () => ({ date: "2026-01-04", reason: "it looked odd" }) },

  "EventLogService.ListEvents": { who: "admin", request: ({ orderId }) => ({ orderId, pageSize: 5 }) },
  "EventLogService.TailEvents": { who: "admin", request: () => ({ afterSequence: "0" }) },
  "EventLogService.VerifyChain": { who: "admin", request: () => ({ eventsMax: 10 }) },
  "EventLogService.ReadEvents": {
    who: "service",
    request: () => ({ from: "2026-01-05T00:00:00Z", to: "2026-01-06T00:00:00Z" }),
  },

  "OpsService.ListParked": { who: "admin", request: () => ({ pageSize: 1 }) },
  "OpsService.ReplayParked": {
    who: "admin",
    request: ({ parked }) => ({ service: "stock", parkedIds: [parked.toReplay] }),
  },
  "OpsService.DiscardParked": {
    who: "admin",
    request: ({ parked }) => ({ service: "stock", parkedIds: [parked.toDiscard], reason: "garbage" }),
  },
  "OpsService.GetBacklog": { who: "admin", request: () => ({}) },
  "OpsService.GetInfo": { who: "admin", request: () => ({}) },
};

function aFile({ fresh }: Shop) {
  const content = Buffer.from(`sku,name,price,currency\n${fresh()},Soup,4.50,EUR\n`).toString("base64");
  return { requestId: fresh(), format: "IMPORT_FORMAT_CSV", content };
}
