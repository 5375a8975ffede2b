import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { create } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { OpsService } from "../../packages/api/gen/bodega/ops/v1/ops_pb.ts";
import {
  type Import,
  ImportFormat,
  ImportStatus,
  ProductService,
} from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import { ContinueImport } from "../../packages/api/jobs.ts";
import { received } from "../../tests/kit/messages.ts";
import { refusal } from "../../tests/kit/refusal.ts";
import { type ProductSystem, startProduct } from "../../tests/kit/services/product.ts";
import { continueImport } from "./continue-import.ts";
import { FILE_BYTES_MAX } from "./import.ts";

setDefaultTimeout(60_000);
let system: ProductSystem;
beforeAll(async () => {
  system = await startProduct();
});
afterAll(() => system.close());

const HEADER = "sku,name,price,currency\n";
let asked = 0;

const file = (content: string, fields: object = {}) => ({
  requestId: `file ${asked++}`,
  format: ImportFormat.CSV,
  content: Buffer.from(content),
  ...fields,
});

const rowsOf = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, n) => `${prefix}-${n},Product ${n},4.50,EUR\n`).join("");

async function start(content: string, fields?: object): Promise<Import> {
  const { import: begun } = await system.asAdmin.importProducts(file(content, fields));
  if (!begun) throw new Error("no import came back");
  return begun;
}

async function outcome({ importId }: Import) {
  await system.settle();
  const { import: found, problems } = await system.asAdmin.getImport({ importId });
  if (!found) throw new Error("no import came back");
  const { status, rowsTotal, rowsCreated, rowsUnchanged, rowsRefused, error } = found;
  return {
    ...{ status, rows: [rowsTotal, rowsCreated, rowsUnchanged, rowsRefused], error },
    problems: problems.map(({ line, problem }) => [line, problem]),
  };
}

const created = (count: number) => ({
  ...{ status: ImportStatus.DONE, rows: [count, count, 0, 0], error: "", problems: [] },
});

async function skusLike(prefix: string): Promise<string[]> {
  const rows = await system.app("product").sql<{ sku: string }[]>`
    select sku from products where sku like ${`${prefix}-%`} order by sku`;
  return rows.map(({ sku }) => sku);
}

test("the products of a file are on the shelf, each with its event in the name of who imported it", async () => {
  const begun = await start(`${HEADER}${rowsOf("FILE", 250)}`, { fileName: "menu.csv" });
  expect(begun).toMatchObject({ status: ImportStatus.RUNNING, rowsTotal: 0, fileName: "menu.csv", parts: 1 });
  expect(await outcome(begun)).toEqual(created(250));
  const { products } = await system.anyone.listProducts({ query: "FILE-17" });
  expect(products.map(({ sku }) => sku)).toContain("FILE-17");
  const { events } = await system.asAdmin.getProductHistory({ productId: products[0]?.productId ?? "" });
  expect(events).toMatchObject([{ type: "product.created", actor: system.admin.userId }]);
  const { import: over } = await system.asAdmin.getImport({ importId: begun.importId });
  expect(over?.finishedAt).toBeDefined();
});

test("lines of JSON say what CreateProduct is asked, and are judged as it judges", async () => {
  const lines = [
    { sku: "JSON-1", name: "Soup", price: { currencyCode: "EUR", minorUnits: "450" }, initialStock: 3, prepared: true },
    { sku: "not a sku", name: "", price: { currencyCode: "EUR", minorUnits: "-1" } },
    { sku: "JSON-3", name: "No price" },
    { sku: "JSON-4", name: "Bad currency", price: { currencyCode: "ABC", minorUnits: "1" } },
    { sku: "JSON-5", name: "Misspelt", prise: 4 },
    { sku: "JSON-6", name: "nul \0", price: { currencyCode: "EUR", minorUnits: "1" } },
  ];
  const text = `${lines.map((line) => JSON.stringify(line)).join("\n")}\n{"sku": "JSON-7"\n`;
  const { rows, problems } = await outcome(await start(text, { format: ImportFormat.JSON_LINES }));
  expect(rows).toEqual([7, 1, 0, 6]);
  expect(problems).toEqual([
    [2, expect.stringMatching(/^sku: .*; name: .*; price: price must be 0 to 1000000000 minor units$/)],
    [3, expect.stringMatching(/^price: /)],
    [4, "price.currency_code: expected a currency of ISO 4217, found ABC"],
    [5, expect.stringContaining("prise")],
    [6, "name: must not contain the character U+0000"],
    [7, expect.stringContaining("JSON")],
  ]);
  expect(await skusLike("JSON")).toEqual(["JSON-1"]);
});

test("bad rows are named with their lines, page by page, and hold up no others", async () => {
  const bad = Array.from({ length: 7 }, (_, n) => `BAD-${n},x,no price,EUR\n`).join("");
  const begun = await start(`${HEADER}${bad}${rowsOf("GOOD", 3)}`);
  expect(await outcome(begun)).toMatchObject({ status: ImportStatus.DONE, rows: [10, 3, 0, 7] });
  const lines: number[] = [];
  let pageToken = "";
  do {
    const page = await system.asAdmin.getImport({ importId: begun.importId, pageSize: 3, pageToken });
    lines.push(...page.problems.map(({ line }) => line));
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  expect(lines).toEqual([2, 3, 4, 5, 6, 7, 8]);
  expect(await refusal(system.asAdmin.getImport({ importId: begun.importId, pageToken: "bm9wZQ" }))).toMatchObject({
    code: Code.InvalidArgument,
  });
  // A cell may hold what no text in the database can.
  expect(await outcome(await start(`${HEADER}ALL-1,x,n\0o,EUR\n`))).toMatchObject({
    status: ImportStatus.DONE,
    rows: [1, 0, 0, 1],
    problems: [[2, "price: expected an amount of EUR such as 4.50, found n\uFFFDo"]],
  });
});

test("a file that cannot be read as a whole imports nothing and says why", async () => {
  expect(await outcome(await start("sku,name\nHALF-1,x\n"))).toEqual({
    status: ImportStatus.FAILED,
    rows: [0, 0, 0, 0],
    error: expect.stringMatching(/^line 1: expected the columns sku, name, price, currency .* found sku, name$/),
    problems: [],
  });
  expect((await outcome(await start("sku,na\0me\n"))).error).toEndWith("found sku, na\uFFFDme");
  const late = `${HEADER}${rowsOf("HALF", 20_001)}`;
  const begun = await startInParts(late, 300_000);
  expect(await outcome(begun)).toMatchObject({
    status: ImportStatus.FAILED,
    error: expect.stringContaining("at most 20000 rows"),
  });
  expect(await skusLike("HALF")).toEqual([]);
});

async function startInParts(content: string, bytesEach: number, format = ImportFormat.CSV): Promise<Import> {
  const bytes = Buffer.from(content);
  let begun: Import | undefined;
  for (let from = 0, part = 0; from < bytes.length; from += bytesEach, part += 1) {
    const more = from + bytesEach < bytes.length;
    const sent = {
      content: bytes.subarray(from, from + bytesEach),
      part,
      more,
      importId: begun?.importId ?? "",
      format,
    };
    begun = (await system.asAdmin.importProducts(file("", sent))).import;
  }
  if (!begun) throw new Error("no import came back");
  return begun;
}

test("a file comes in parts that may end within a letter; each part counts once and in its turn", async () => {
  const text = `${HEADER}PART-1,Crème brûlée,4.50,EUR\nPART-2,Käse,3,EUR\n`;
  expect(await outcome(await startInParts(text, 3))).toEqual(created(2));
  const { products } = await system.anyone.listProducts({ query: "PART-1" });
  expect(products[0]?.name).toBe("Crème brûlée");
  const first = file(`${HEADER}PART-3,x`, { more: true });
  const [begun, again] = await Promise.all([
    system.asAdmin.importProducts(first),
    system.asAdmin.importProducts(first),
  ]);
  expect(again).toEqual(begun);
  const importId = begun.import?.importId ?? "";
  expect(begun.import).toMatchObject({ status: ImportStatus.RECEIVING, parts: 1 });
  const next = (fields: object) =>
    refusal(system.asAdmin.importProducts(file(",1,EUR\n", { importId, part: 1, ...fields })));
  expect(await next({ part: 2 })).toMatchObject({ message: "part: expected part 1 to come next, found 2" });
  expect(await next({ format: ImportFormat.JSON_LINES })).toMatchObject({ code: Code.InvalidArgument });
  expect(await next({ importId: system.random.id() })).toMatchObject({ reason: "IMPORT_NOT_FOUND" });
  const last = await start(",1,EUR\n", { importId, part: 1 });
  expect(await next({ part: 2 })).toMatchObject({ reason: "IMPORT_OVER" });
  expect(await outcome(last)).toEqual(created(1));
});

test("a file that is too large, a part that is, and a format that is none are refused", async () => {
  const large = startInParts("x".repeat(FILE_BYTES_MAX + 1), 524_288);
  expect(await refusal(large)).toMatchObject({ code: Code.ResourceExhausted, reason: "IMPORT_TOO_LARGE" });
  expect(await refusal(start("x".repeat(524_289)))).toMatchObject({ code: Code.InvalidArgument });
  expect(await refusal(start(""))).toMatchObject({ code: Code.InvalidArgument });
  expect(await refusal(start("x", { format: ImportFormat.UNSPECIFIED }))).toMatchObject({ code: Code.InvalidArgument });
});

test("the same file imported twice says so; asked again it leaves what is alike and refuses what is not", async () => {
  const text = `${HEADER}${rowsOf("TWICE", 3)}`;
  const first = await start(text);
  const second = await refusal(start(text));
  expect(second).toMatchObject({ code: Code.AlreadyExists, reason: "FILE_IMPORTED_BEFORE" });
  expect(second.message).toContain(first.importId);
  expect(await outcome(first)).toEqual(created(3));
  expect(await refusal(start(text))).toMatchObject({ reason: "FILE_IMPORTED_BEFORE" });
  const [changed] = (await system.anyone.listProducts({ query: "TWICE-1" })).products;
  const productId = changed?.productId ?? "";
  await system.asAdmin.updateProduct({ productId, expectedVersion: 1n, name: "Other" });
  expect(await outcome(await start(text, { again: true }))).toMatchObject({
    rows: [3, 0, 2, 1],
    problems: [
      [3, `sku: expected a new SKU, or a product on the shelf like the row; found ${productId}, which differs: name`],
    ],
  });
});

test("a SKU that is in a file twice is one product, whichever step its rows are in", async () => {
  const text = `${HEADER}SAME-1,x,1,EUR\n${rowsOf("MANY", 150)}SAME-1,x,1,EUR\nSAME-1,y,1,EUR\n`;
  expect(await outcome(await start(text))).toMatchObject({
    rows: [153, 151, 1, 1],
    problems: [[154, expect.stringMatching(/differs: name$/)]],
  });
});

test("a job that comes many times, to many workers, imports each row once", async () => {
  const begun = await start(`${HEADER}${rowsOf("AGAIN", 250)}`);
  const { importId } = begun;
  const app = system.app("product");
  const body = create(ContinueImport.schema, { importId });
  await Promise.all(Array.from({ length: 5 }, () => app.transact((tx) => continueImport(app, received(tx, body)))));
  expect(await outcome(begun)).toEqual(created(250));
  expect(await skusLike("AGAIN")).toHaveLength(250);
  const [events] = await app.sql<{ count: bigint }[]>`
    select count(*) from product_events where changes->>'sku' like 'AGAIN-%'`;
  expect(events?.count).toBe(250n);
});

test("a step that dies leaves nothing of itself; given up and replayed, the import goes on from where it stood", async () => {
  const { sql } = system.app("product");
  await sql.unsafe(`
    create function die() returns trigger language plpgsql as $$ begin raise exception 'died at %', new.sku; end $$;
    create trigger die before insert on products for each row when (new.sku = 'DEAD-170') execute function die()`);
  const begun = await start(`${HEADER}${rowsOf("DEAD", 250)}`);
  expect(await outcome(begun)).toMatchObject({ status: ImportStatus.RUNNING, rows: [250, 100, 0, 0] });
  expect(await skusLike("DEAD")).toHaveLength(100);
  await sql.unsafe("drop function die() cascade");
  const ops = system.as("admin", OpsService, "product");
  const { parked } = await ops.listParked({});
  expect(parked.map(({ type, key }) => [type, key])).toEqual([["product.continue-import", begun.importId]]);
  await ops.replayParked({ service: "product", parkedIds: parked.map(({ parkedId }) => parkedId) });
  expect(await outcome(begun)).toEqual(created(250));
});

test("an import is cancelled in its middle: what is on the shelf stays there, the rest does not come", async () => {
  const { sql } = system.app("product");
  await sql.unsafe(`
    create function die() returns trigger language plpgsql as $$ begin raise exception 'died at %', new.sku; end $$;
    create trigger die before insert on products for each row when (new.sku = 'HALFWAY-170') execute function die()`);
  const begun = await start(`${HEADER}HALFWAY-X,x,y,EUR\n${rowsOf("HALFWAY", 250)}`);
  await system.settle();
  await system.asAdmin.cancelImport({ importId: begun.importId, reason: "wrong file" });
  await sql.unsafe("drop function die() cascade");
  await system.advance(60_000);
  expect(await outcome(begun)).toMatchObject({
    ...{ status: ImportStatus.CANCELLED, rows: [251, 100, 0, 1] },
    problems: [[2, expect.stringMatching(/^price: /)]],
  });
  expect(await skusLike("HALFWAY")).toHaveLength(100);
});

test("a file whose parts have stopped coming is forgotten after a day", async () => {
  const begun = await start(HEADER, { more: true });
  await system.advance(24 * 3_600_000);
  await start(HEADER, { more: true });
  expect(await system.asAdmin.getImport({ importId: begun.importId })).toMatchObject({ import: { parts: 1 } });
  await system.advance(1);
  await start(HEADER, { more: true });
  expect(await refusal(system.asAdmin.getImport({ importId: begun.importId }))).toMatchObject({ code: Code.NotFound });
});

test("only admins import, and the record says so", async () => {
  const customer = system.as(system.newCustomer(), ProductService);
  expect(await refusal(customer.importProducts(file(`${HEADER}MINE-1,x,1,EUR\n`)))).toMatchObject({
    code: Code.PermissionDenied,
  });
  expect(await skusLike("MINE")).toEqual([]);
});

test("an import is cancelled once, where it stands, and one that is over is not", async () => {
  const begun = await start(`${HEADER}${rowsOf("CANCEL", 5)}`, { more: true });
  const { importId } = begun;
  const { import: cancelled } = await system.asAdmin.cancelImport({ importId, reason: "wrong file" });
  expect(cancelled).toMatchObject({ status: ImportStatus.CANCELLED });
  system.clock.advance(1_000);
  expect((await system.asAdmin.cancelImport({ importId })).import).toEqual(cancelled as Import);
  expect(await refusal(start("x", { importId, part: 1 }))).toMatchObject({ reason: "IMPORT_OVER" });
  const done = await start(`${HEADER}CANCEL-9,x,1,EUR\n`);
  await system.settle();
  expect(await refusal(system.asAdmin.cancelImport({ importId: done.importId }))).toMatchObject({
    code: Code.FailedPrecondition,
    reason: "IMPORT_OVER",
  });
  expect(await refusal(system.asAdmin.cancelImport({ importId: system.random.id() }))).toMatchObject({
    code: Code.NotFound,
  });
});
