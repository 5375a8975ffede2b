// Who may call what: written down a second time, by hand, so that an option changed in a proto by mistake is noticed.
import type { Row } from "./access-rows.ts";
import type { Shop } from "./shop.ts";

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
  "AuthService.CompleteLogin": {
    who: "anyone",
    request: () => ({ challenge: "none", code: "123456" }),
    refusal: "CHALLENGE_INVALID",
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
  "AuthService.ChangePassword": {
    who: "signed in",
    request: () => ({ oldPassword: "not this one", newPassword: PASSWORD }),
    refusal: "CREDENTIALS_INVALID",
  },
  "AuthService.ChangeEmail": {
    who: "signed in",
    request: (shop) => ({ newEmail: email(shop), password: "not this one" }),
    refusal: "CREDENTIALS_INVALID",
  },
  "AuthService.EnrolTotp": {
    who: "signed in",
    request: () => ({ password: "not this one" }),
    refusal: "CREDENTIALS_INVALID",
  },
  "AuthService.ConfirmTotp": {
    who: "signed in",
    request: () => ({ code: "123456" }),
    refusal: "TOTP_NOT_ENROLLED",
  },
  "AuthService.RemoveTotp": {
    who: "signed in",
    request: () => ({ password: "not this one", code: "123456" }),
    refusal: "TOTP_NOT_ENABLED",
  },
  "AuthService.RenewRecoveryCodes": {
    who: "signed in",
    request: () => ({ password: "not this one", code: "123456" }),
    refusal: "TOTP_NOT_ENABLED",
  },
  "AuthService.DeleteAccount": {
    who: "signed in",
    request: () => ({ password: "not this one" }),
    refusal: "CREDENTIALS_INVALID",
  },
  "AuthService.ListSessions": { who: "signed in", request: () => ({ pageSize: 5 }) },
  "AuthService.EndSession": {
    who: "signed in",
    request: ({ nobodys }) => ({ sessionId: nobodys }),
    refusal: "SESSION_NOT_FOUND",
  },
  "AuthService.GetMe": { who: "signed in", request: () => ({}) },
  "AuthService.ListUsers": { who: "admin", request: () => ({ pageSize: 2 }) },
  "AuthService.SetRoles": {
    who: "admin",
    request: ({ users }) => ({ userId: users.other, roles: ["ROLE_CUSTOMER"] }),
  },
  "AuthService.BlockUser": {
    who: "admin",
    async request({ ask, users }) {
      await ask("auth.v1.AuthService/UnblockUser", { userId: users.other });
      return { userId: users.other, reason: "left" };
    },
  },
  "AuthService.UnblockUser": {
    who: "admin",
    async request({ ask, users }) {
      await ask("auth.v1.AuthService/BlockUser", { userId: users.other, reason: "left" });
      return { userId: users.other };
    },
  },
  "AuthService.GetSigningKeys": { who: "anyone", request: () => ({}) },
  "AuthService.GetRoles": { who: "service", request: ({ users }) => ({ userId: users.other }) },
  "AuthService.RotateSigningKey": { who: "admin", request: () => ({}) },
  "AuthService.ListSigningKeys": { who: "admin", request: () => ({}) },
  "AuthService.RevokeSigningKey": {
    who: "admin",
    async request({ ask }) {
      const { signingKeys } = (await ask("auth.v1.AuthService/ListSigningKeys", {})) as {
        signingKeys: { kid: string; status: string }[];
      }; // ListSigningKeys' own shape.
      const standby = signingKeys.find(({ status }) => status === "SIGNING_KEY_STATUS_STANDBY");
      return { kid: standby?.kid ?? "", reason: "lost" };
    },
  },

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
