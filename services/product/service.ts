import { StockChanged } from "../../packages/api/facts.ts";
import { ProductService } from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import { answers, onMany, service } from "../../packages/service/service.ts";
import { archiveProduct } from "./archive-product.ts";
import type { ProductConfig } from "./config.ts";
import { createProduct } from "./create-product.ts";
import { makeDemoProducts } from "./demo.ts";
import { getProduct } from "./get-product.ts";
import { getProductHistory } from "./get-product-history.ts";
import { listProducts } from "./list-products.ts";
import { onStockChanged } from "./on-stock-changed.ts";
import { updateProduct } from "./update-product.ts";

export const product = (config: ProductConfig) =>
  service<ProductConfig>({
    name: "product",
    config,
    migrations: new URL("./migrations/", import.meta.url),
    answers: [
      answers(ProductService, {
        createProduct,
        updateProduct,
        archiveProduct,
        getProduct,
        listProducts,
        getProductHistory,
      }),
    ],
    hears: [onMany(StockChanged, onStockChanged)],
    does: [],
    starts: makeDemoProducts,
  });
