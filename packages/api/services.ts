import type { DescService } from "@bufbuild/protobuf";
import { AuthService } from "./gen/bodega/auth/v1/auth_pb.ts";
import { KitchenService } from "./gen/bodega/kitchen/v1/kitchen_pb.ts";
import { MailService } from "./gen/bodega/mail/v1/mail_pb.ts";
import { OpsService } from "./gen/bodega/ops/v1/ops_pb.ts";
import { OrderService } from "./gen/bodega/order/v1/order_pb.ts";
import { PaymentService } from "./gen/bodega/payment/v1/payment_pb.ts";
import { PointsService } from "./gen/bodega/points/v1/points_pb.ts";
import { ProductService } from "./gen/bodega/product/v1/product_pb.ts";
import { StockService } from "./gen/bodega/stock/v1/stock_pb.ts";

/** What each service answers, for those who call it from another process. */
export const SERVICES: Record<string, DescService[]> = {
  auth: [AuthService, OpsService],
  product: [ProductService, OpsService],
  stock: [StockService, OpsService],
  order: [OrderService, OpsService],
  payment: [PaymentService, OpsService],
  points: [PointsService, OpsService],
  kitchen: [KitchenService, OpsService],
  mail: [MailService, OpsService],
};
