import { extname } from "node:path";
import { create } from "@bufbuild/protobuf";
import {
  GetImportResponseSchema,
  type Import,
  ImportFormat,
  type ImportProblem,
  ImportStatus,
  ImportStatusSchema,
  ProductService,
} from "../../../packages/api/gen/bodega/product/v1/product_pb.ts";
import type { Group } from "../command-line.ts";
import { Exit } from "../exit.ts";
import { all } from "../names.ts";
import { Problem } from "../problem.ts";
import type { Shop } from "../shop.ts";
import { word } from "../words.ts";

const PART_BYTES = 512 * 1024;
const LOOK_MS = 250;
const FORMATS: Record<string, ImportFormat> = {
  ".csv": ImportFormat.CSV,
  ".jsonl": ImportFormat.JSON_LINES,
  ".ndjson": ImportFormat.JSON_LINES,
};

export const importProducts: Group = (group, at) => {
  group
    .command("import")
    .description("Put a file of products on the shelf, each row once; ends with 7 when rows were refused")
    .argument("<file>", Object.keys(FORMATS).join(", "))
    .option("--again", "also when the same file was imported before")
    .action(async (file, { again = false }) => {
      const shop = at();
      const importId = await send(shop, file, again);
      shop.progress(`Import ${importId}`);
      const done = await finished(shop, importId);
      const problems = await all(
        (page) => shop.call(ProductService).getImport({ importId, ...page }),
        (page) => page.problems,
      );
      show(shop, done, problems);
      if (done.status !== ImportStatus.DONE || problems.length > 0) shop.endWith(Exit.NOT_IN_ORDER);
    });
};

/** In parts, each under a key of its own, so that one whose answer is lost is not there twice. */
async function send(shop: Shop, file: string, again: boolean): Promise<string> {
  const format = FORMATS[extname(file)];
  if (format === undefined)
    throw new Problem(
      Exit.USAGE,
      `file: expected one that ends with ${Object.keys(FORMATS).join(", ")}, found ${file}`,
    );
  const source = Bun.file(file);
  if (!(await source.exists())) throw new Problem(Exit.USAGE, `file: there is no ${file}`);
  const bytes = await source.bytes();
  const key = crypto.randomUUID();
  let importId = "";
  for (let part = 0; part === 0 || part * PART_BYTES < bytes.length; part += 1) {
    const content = bytes.slice(part * PART_BYTES, (part + 1) * PART_BYTES);
    const more = (part + 1) * PART_BYTES < bytes.length;
    const request = { requestId: `${key}-${part}`, format, content, fileName: file, importId, part, more, again };
    importId = (await shop.call(ProductService).importProducts(request)).import?.importId ?? "";
  }
  return importId;
}

async function finished(shop: Shop, importId: string): Promise<Import> {
  for (;;) {
    const { import: now } = await shop.call(ProductService).getImport({ importId, pageSize: 1 });
    if (now && now.status !== ImportStatus.RUNNING && now.status !== ImportStatus.RECEIVING) return now;
    if (now) shop.progress(`${now.rowsCreated + now.rowsUnchanged + now.rowsRefused} of ${now.rowsTotal} rows`);
    await Bun.sleep(LOOK_MS);
  }
}

function show(shop: Shop, done: Import, problems: ImportProblem[]): void {
  shop.show(GetImportResponseSchema, create(GetImportResponseSchema, { import: done, problems }), () => {
    const { rowsCreated, rowsUnchanged, rowsRefused, error } = done;
    const status = word(ImportStatusSchema, done.status);
    shop.say(`${status}: ${rowsCreated} new, ${rowsUnchanged} there already, ${rowsRefused} refused`);
    if (error) shop.say(error);
    if (problems.length > 0)
      shop.terminal.table(
        ["LINE", "PROBLEM"],
        problems.map(({ line, problem }) => [line, problem]),
      );
  });
}
