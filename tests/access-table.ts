// Who may call what: written down a second time, by hand, so that an option changed in a proto by mistake is noticed.
import type { DescMethod, DescService, JsonObject } from "@bufbuild/protobuf";
import type { Shop } from "./shop.ts";

export interface Row {
  /** `owner`: of what the request is about; others are told there is no such thing. `service`: not to be had at the edge. */
  who: "anyone" | "signed in" | "owner" | "kitchen" | "admin" | "service";
  /** A request that is good; made anew for every call. */
  request(shop: Shop): JsonObject | Promise<JsonObject>;
  /** The same request about an id that nobody has; missing where the request is about no single thing. */
  nobodys?(shop: Shop): JsonObject;
  /** The reason that even who may call is refused with here: such as for a code that was never mailed. */
  refusal?: string;
  /** Not even admins do this in the owner's place. */
  notForAdmins?: true;
}

const email = (shop: Shop) => `${shop.fresh()}@bodega.test`;
const PASSWORD = "a long enough password";
const price = { currencyCode: "EUR", minorUnits: "450" };

/** By service and method; what follows a space tells several requests of one method apart. */
export const ACCESS: Record<string, Row> = {
  "AuthService.Register": {
    who: "anyone",
    request: (shop) => ({ email: email(shop), password: PASSWORD, displayName: "New" }),
  },
  "AuthService.VerifyEmail": {
    who: "anyone",
    request: (shop) => ({ email: email(shop), code: "123456" }),
    refusal: "CODE_INVALID",
  },
  "AuthService.ResendVerification": { who: "anyone", request: (shop) => ({ email: email(shop) }) },
  "AuthService.Login": {
    who: "anyone",
    request: () => ({ email: "admin@bodega.test", password: "correct horse battery" }),
  },
  "AuthService.Refresh": { who: "anyone", request: ({ refreshToken }) => ({ refreshToken }) },
  "AuthService.Logout": { who: "anyone", request: (shop) => ({ refreshToken: shop.fresh() }) },
  "AuthService.LogoutAll": { who: "signed in", request: () => ({}) },
  "AuthService.RequestPasswordReset": { who: "anyone", request: (shop) => ({ email: email(shop) }) },
  "AuthService.ResetPassword": {
    who: "anyone",
    request: (shop) => ({ email: email(shop), code: "123456", newPassword: PASSWORD }),
    refusal: "CODE_INVALID",
  },
  "AuthService.GetMe": { who: "signed in", request: () => ({}) },
  "AuthService.ListUsers": { who: "admin", request: () => ({ pageSize: 2 }) },
  "AuthService.SetRoles": {
    who: "admin",
    request: ({ users }) => ({ userId: users.other, roles: ["ROLE_CUSTOMER"] }),
  },
  "AuthService.GetSigningKeys": { who: "anyone", request: () => ({}) },
  "AuthService.RotateSigningKey": { who: "admin", request: () => ({}) },

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
  "ProductService.GetProduct": { who: "anyone", request: ({ productId }) => ({ productId }) },
  "ProductService.ListProducts": { who: "anyone", request: () => ({ query: "burger", pageSize: 5 }) },
  "ProductService.GetProductHistory": { who: "admin", request: ({ productId }) => ({ productId }) },

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
  "KitchenService.WatchTickets": { who: "kitchen", request: () => ({}) },

  "MailService.ListMails": { who: "admin", request: ({ orderId }) => ({ orderId, status: "MAIL_STATUS_SENT" }) },
  "MailService.GetMail": { who: "admin", request: ({ mailId }) => ({ mailId }) },
  "MailService.ResendMail": { who: "admin", request: ({ mailId }) => ({ mailId }) },

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

const nameOf = ({ parent, name }: DescMethod) => `${parent.name}.${name}`;
const methodIn = (key: string) => key.split(" ")[0] ?? "";

/** What is wrong with the table itself, in sentences: RPCs nobody thought about, and rows about RPCs that are no more. */
export function gaps(services: DescService[], table: Record<string, Row>): string[] {
  const methods = new Set(services.flatMap((service) => service.methods.map(nameOf)));
  const rows = new Set(Object.keys(table).map(methodIn));
  return [
    ...[...methods]
      .filter((name) => !rows.has(name))
      .map((name) => `${name} has no row: say in tests/access-table.ts who may call it`),
    ...[...rows]
      .filter((name) => !methods.has(name))
      .map((name) => `${name} has a row, but no service has such a method`),
  ];
}

export function rowsOf(services: DescService[], table: Record<string, Row>) {
  const methods = new Map(services.flatMap((service) => service.methods.map((method) => [nameOf(method), method])));
  return Object.entries(table).flatMap(([name, row]) => {
    const method = methods.get(methodIn(name));
    return method ? [{ name, method, row }] : [];
  });
}
