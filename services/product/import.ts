import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code, type ConnectError } from "@connectrpc/connect";
import { ImportFormat, type ImportSchema, ImportStatus } from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import { refused } from "../../packages/service/errors.ts";
import type { Draft, Product } from "./product.ts";

export const FILE_BYTES_MAX = 4 * 1_048_576;
export const FILE_ROWS_MAX = 20_000;

/** A file of products on its way to the shelf. */
export interface Import {
  importId: string;
  status: keyof typeof ImportStatus;
  format: keyof typeof ImportFormat;
  fileName: string;
  bytes: number;
  parts: number;
  /** Null until the file was read. */
  rowsTotal: number | null;
  rowsCreated: number;
  rowsUnchanged: number;
  rowsRefused: number;
  error: string;
  actor: string;
  createdAt: Date;
  finishedAt: Date | null;
}

export function importMessage(row: Import): MessageInitShape<typeof ImportSchema> {
  const { status, format, rowsTotal, actor: _, createdAt, finishedAt, ...rest } = row;
  return {
    ...rest,
    status: ImportStatus[status],
    format: ImportFormat[format],
    rowsTotal: rowsTotal ?? 0,
    createdAt: timestampFromDate(createdAt),
    ...(finishedAt && { finishedAt: timestampFromDate(finishedAt) }),
  };
}

/** What a row says otherwise than the product that has its SKU. The initial stock was told once, and is stock's since. */
export function differences(draft: Draft, product: Product): string[] {
  const { name, description, prepared, collections, price } = draft;
  const alike = {
    name: name === product.name,
    description: description === product.description,
    price: price.currencyCode === product.currencyCode && price.minorUnits === product.priceMinorUnits,
    collections: Bun.deepEquals(collections, product.collections),
    prepared: prepared === product.prepared,
  };
  return Object.entries(alike).flatMap(([field, same]) => (same ? [] : [field]));
}

export function importOver({ importId, status }: Import): ConnectError {
  return refused(
    Code.FailedPrecondition,
    "IMPORT_OVER",
    `expected import ${importId} to be under way, found it ${status}`,
  );
}
