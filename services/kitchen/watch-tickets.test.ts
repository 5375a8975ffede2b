import { afterAll, beforeAll, expect, test } from "bun:test";
import { WatchTicketsMark } from "../../packages/api/gen/bodega/kitchen/v1/kitchen_pb.ts";
import { type Kitchen, startKitchen } from "../../tests/kit/services/kitchen.ts";

let bench: Kitchen;
beforeAll(async () => {
  bench = await startKitchen("off");
});
afterAll(() => bench.system.close());

/** More than one page of a look. */
const MANY = 1_203;

test("however many tickets are open, all are told before the mark, and so is every one of many changes at once", async () => {
  const { sql } = bench.system.app("kitchen");
  await sql`
    insert into tickets (ticket_id, order_id, status, lines, queued_at)
    select gen_random_uuid(), gen_random_uuid(), 'QUEUED', '[]', ${bench.system.clock.now()} from generate_series(1, ${MANY})`;
  const stop = new AbortController();
  const { signal } = stop;
  const stream = bench.kitchen.watchTickets({}, { signal })[Symbol.asyncIterator]();
  const told = new Set<string>();
  let token = "";
  for (let marked = false; !marked; ) {
    const { value } = await stream.next();
    told.add(value.ticket.ticketId);
    marked = value.mark === WatchTicketsMark.SNAPSHOT;
    expect(marked).toBe(value.resumeToken !== "");
    token = value.resumeToken;
  }
  expect(told.size).toBe(MANY);

  await sql`update tickets set staff = 'somebody', version = version + 1, changed_xid = pg_current_xact_id()`;
  const resumed = bench.kitchen.watchTickets({ resumeToken: token }, { signal })[Symbol.asyncIterator]();
  for (const each of [stream, resumed]) {
    const changed = new Set<string>();
    while (changed.size < MANY) changed.add((await each.next()).value.ticket.ticketId);
    expect(changed).toEqual(told);
  }
  stop.abort();
});
