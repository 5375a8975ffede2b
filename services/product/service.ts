import { StockChanged } from "../../packages/api/facts.ts";
import { ProductService } from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import { ContinueImport } from "../../packages/api/jobs.ts";
import { forDays, forever, until } from "../../packages/database/retention.ts";
import { answers, does, onMany, service } from "../../packages/service/service.ts";
import type { Environment } from "../../packages/service/variables.ts";
import { archiveProduct } from "./archive-product.ts";
import { cancelImport } from "./cancel-import.ts";
import { type ProductConfig, readConfig } from "./config.ts";
import { continueImport } from "./continue-import.ts";
import { createProduct } from "./create-product.ts";
import { makeDemoProducts } from "./demo.ts";
import { getImport } from "./get-import.ts";
import { getMenu } from "./get-menu.ts";
import { getProduct } from "./get-product.ts";
import { getProductHistory } from "./get-product-history.ts";
import { importProducts } from "./import-products.ts";
import { listMenus } from "./list-menus.ts";
import { listProducts } from "./list-products.ts";
import { onStockChanged } from "./on-stock-changed.ts";
import { rebuildProducts } from "./rebuild-products.ts";
import { removeMenu } from "./remove-menu.ts";
import { setMenu } from "./set-menu.ts";
import { unarchiveProduct } from "./unarchive-product.ts";
import { updateProduct } from "./update-product.ts";

export const product = (env: Environment) =>
  service<ProductConfig>({
    name: "product",
    config: readConfig(env),
    migrations: new URL("./migrations/", import.meta.url),
    keeps: [
      forever("products", "a row a product"),
      forever("product_events", "what products are made of"),
      forever("menus", "a row a collection that is or was a menu"),
      forDays(365, "imports", { id: "import_id" }, "what came of a file", "finished_at is not null"),
      until("import_parts", "their file was read", "a file as it came"),
      until(
        "import_rows",
        "they are on the shelf, or with their import",
        "what is still to be done, and what was refused",
      ),
    ],
    answers: [
      answers(ProductService, {
        createProduct,
        updateProduct,
        archiveProduct,
        getProduct,
        listProducts,
        getProductHistory,
        unarchiveProduct,
        rebuildProducts,
        setMenu,
        removeMenu,
        getMenu,
        listMenus,
        importProducts,
        getImport,
        cancelImport,
      }),
    ],
    hears: [onMany(StockChanged, onStockChanged)],
    does: [does(ContinueImport, continueImport)],
    starts: makeDemoProducts,
  });
