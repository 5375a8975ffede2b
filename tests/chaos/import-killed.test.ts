// The whole program is killed again and again while it imports a file; then every row is counted.
import { expect, test } from "bun:test";
import {
  GetImportResponseSchema,
  ImportProductsResponseSchema,
  ImportStatus,
} from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import { openDatabase } from "../../packages/database/database.ts";
import { SEED } from "../kit/seed.ts";
import { say } from "./books.ts";
import { createClient, must } from "./client.ts";
import { createDice } from "./dice.ts";
import { ready, start, type Victim, withVictim } from "./killing.ts";
import { type Place, urlsIn } from "./place.ts";
import { ADMIN, login } from "./shop.ts";

const ROWS = 3_000;
const KILLS = 3;

test(`a file of ${ROWS} rows is imported once, though the program is killed ${KILLS} times in its middle`, async () => {
  await withVictim(async (victim, place) => {
    const client = createClient(place.base, createDice(SEED));
    const token = await login(client, ADMIN.email, ADMIN.password);
    const lines = Array.from({ length: ROWS }, (_, n) => `KILLED-${n},Product ${n},${n}.50,EUR`);
    const body = {
      requestId: "killed",
      format: "IMPORT_FORMAT_CSV",
      content: Buffer.from(`sku,name,price,currency\n${lines.join("\n")}\n`).toString("base64"),
    };
    const { import: begun } = await must(
      client.ask(ImportProductsResponseSchema, { method: "POST", path: "/v1/imports", token, body }),
    );
    const path = `/v1/imports/${begun?.importId}`;
    const look = async () => {
      const reply = await must(client.ask(GetImportResponseSchema, { method: "GET", path, token }));
      if (!reply.import) throw new Error("no import came back");
      return reply.import;
    };
    const killedAt: number[] = [];
    for (let kill = 1; kill <= KILLS; kill++)
      killedAt.push(await killOnceBeyond(victim, place, look, (kill * ROWS) / (KILLS + 2)));
    say(`import: killed at ${killedAt.join(", ")} of ${ROWS} rows`);
    expect(killedAt.every((rows) => rows < ROWS)).toBe(true);
    for (const patience = AbortSignal.timeout(120_000); (await look()).status === ImportStatus.RUNNING; )
      if (patience.aborted) throw new Error("the import did not come to its end");
      else await Bun.sleep(100);
    expect(await look()).toMatchObject({
      status: ImportStatus.DONE,
      rowsCreated: ROWS,
      rowsUnchanged: 0,
      rowsRefused: 0,
    });
    expect(await countRows(place)).toEqual({ products: ROWS, events: ROWS });
  });
}, 300_000);

/** Kills with the rows it has seen on the shelf. */
async function killOnceBeyond(
  victim: Victim,
  place: Place,
  look: () => Promise<{ rowsCreated: number }>,
  rows: number,
): Promise<number> {
  for (const patience = AbortSignal.timeout(120_000); !patience.aborted; await Bun.sleep(5)) {
    const { rowsCreated } = await look();
    if (rowsCreated < rows) continue;
    victim.program.signal("SIGKILL");
    await victim.program.exited;
    start(victim, place);
    await victim.program.open();
    await ready(place.base);
    return rowsCreated;
  }
  throw new Error(`the import did not come to ${rows} rows`);
}

async function countRows(place: Place): Promise<{ products: number; events: number }> {
  const database = openDatabase(urlsIn(place.dataDir)("product"), "import-test");
  try {
    const [row] = await database.sql<{ products: number; events: number }[]>`
      select (select count(*)::int from products where sku like 'KILLED-%') as products,
        (select count(*)::int from product_events where changes->>'sku' like 'KILLED-%') as events`;
    return row ?? { products: 0, events: 0 };
  } finally {
    await database.close();
  }
}
