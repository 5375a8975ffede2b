// Each way to tamper with the journal is planted here, by somebody who has every right in the database; each is found, and named.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { OrderCreated } from "../../packages/api/facts.ts";
import {
  EventLogService,
  type VerifyChainRequest,
  VerifyChainRequestSchema,
} from "../../packages/api/gen/bodega/eventlog/v1/eventlog_pb.ts";
import type { Sql } from "../../packages/database/database.ts";
import type { App } from "../../packages/service/app.ts";
import { factMessage, tell } from "../../tests/kit/messages.ts";
import { type System, startSystem } from "../../tests/kit/system.ts";
import { hashOf } from "./chain.ts";
import type { EventLogConfig } from "./config.ts";
import { entriesBetween, readHead } from "./store.ts";
import { verify } from "./verify-chain.ts";

setDefaultTimeout(60_000);
/** Batches of ten, and a checkpoint after each: a minute lies between them. */
const [BATCHES, BATCH] = [6, 10];
const EVENTS = BATCHES * BATCH;

let system: System;
let app: App<EventLogConfig>;
beforeAll(async () => {
  system = await startSystem({ services: ["eventlog"] });
  // Every app lies in one list; the event log's carries its own configuration.
  app = system.app("eventlog") as App<EventLogConfig>;
  for (let batch = 0; batch < BATCHES; batch++) {
    const orders = Array.from({ length: BATCH }, () => ({ orderId: system.random.id() }));
    await tell(system, ...orders.map((order) => factMessage(system, OrderCreated, order)));
    await system.advance(60_000);
  }
});
afterAll(() => system.close());

class Undone extends Error {}

/** Tampers, verifies, and undoes it. */
async function after(
  tamper: (sql: Sql) => Promise<unknown>,
  req: MessageInitShape<typeof VerifyChainRequestSchema> = {},
): Promise<string[]> {
  const request: VerifyChainRequest = create(VerifyChainRequestSchema, req);
  let found: string[] = [];
  await app
    .transact(async ({ sql }) => {
      await sql.unsafe(`
        grant all on all tables in schema public to current_user;
        alter table events disable trigger user; alter table checkpoints disable trigger user; alter table seals disable trigger user`);
      await tamper(sql);
      const { problems } = await verify(sql, app.config, request);
      found = problems.map(({ kind, sequence }) => `${kind} ${sequence}`);
      throw new Undone();
    })
    .catch((error: unknown) => {
      if (!(error instanceof Undone)) throw error;
    });
  return found;
}

/** Computes the hashes from an event on anew, as whoever knows docs/event-log.md can. */
async function rehash(sql: Sql, from: bigint) {
  const [before] = await entriesBetween(sql, from - 1n, from - 1n);
  let hash = before?.hash ?? new Uint8Array(32);
  for (const entry of await entriesBetween(sql, from, BigInt(EVENTS))) {
    hash = hashOf(hash, entry);
    await sql`update events set hash = ${hash} where sequence = ${entry.sequence}`;
  }
  await sql`update head set hash = ${hash}`;
}

test("a journal that nobody has touched is intact, whole and in parts", async () => {
  const { intact, checked, problems, nextSequence, head } = await system.as("admin", EventLogService).verifyChain({});
  expect({ intact, checked, problems, nextSequence }).toEqual({
    intact: true,
    checked: BigInt(EVENTS),
    problems: [],
    nextSequence: 0n,
  });
  expect(head?.sequence).toBe(BigInt(EVENTS));
  const parts: bigint[] = [];
  for (let fromSequence = 0n; ; ) {
    const part = await system.as("admin", EventLogService).verifyChain({ fromSequence, eventsMax: 17 });
    expect(part.problems).toEqual([]);
    parts.push(part.checked);
    if (part.nextSequence === 0n) break;
    fromSequence = part.nextSequence;
  }
  expect(parts).toEqual([17n, 17n, 17n, 9n]);
});

describe("an event", () => {
  test.each([
    ["type", "'order.paid'"],
    ["source", "'bodega/elsewhere'"],
    ["subject", "'nobody'"],
    ["time", "time + interval '1 ms'"],
    ["recorded_at", "recorded_at + interval '1 ms'"],
    ["traceparent", "''"],
    ["correlation_id", "'another'"],
    ["order_id", "null"],
    ["body", "''"],
    ["event_id", "'01890000-0000-7000-8000-000000000001'"],
  ])("whose %s was changed is named", async (column, value) => {
    expect(await after((sql) => sql.unsafe(`update events set ${column} = ${value} where sequence = 23`))).toEqual([
      "EVENT_CHANGED 23",
    ]);
  });

  test("that was removed is named, and so are several", async () => {
    expect(await after((sql) => sql`delete from events where sequence = 23`)).toEqual(["EVENT_MISSING 23"]);
    expect(await after((sql) => sql`delete from events where sequence between 5 and 17`)).toEqual(["EVENT_MISSING 5"]);
  });

  test("that was removed at the edge of the part that is read is named", async () => {
    const first = { eventsMax: 20 };
    expect(await after((sql) => sql`delete from events where sequence in (20, 21)`, first)).toEqual([
      "EVENT_MISSING 20",
    ]);
    expect(
      await after((sql) => sql`delete from events where sequence in (20, 21)`, { ...first, fromSequence: 21n }),
    ).toEqual(["EVENT_MISSING 21"]);
  });

  test("that changed places with another is named, and so is the other", async () => {
    const swap = (sql: Sql) => sql`
      update events a set event_id = b.event_id, subject = b.subject, order_id = b.order_id, body = b.body, hash = b.hash
      from events b where (a.sequence, b.sequence) in ((23, 31), (31, 23))`;
    expect(await after(swap)).toEqual(
      ["EVENT_CHANGED 23", "EVENT_CHANGED 24", "EVENT_CHANGED 31", "EVENT_CHANGED 32", "CHECKPOINT_DIFFERS 31"].filter(
        (each) => !each.startsWith("CHECKPOINT"),
      ),
    );
  });

  test("that is there twice is named", async () => {
    const twice = async (sql: Sql) => {
      await sql.unsafe(
        "create table events_1999_01 partition of events for values from ('1999-01-01') to ('1999-02-01')",
      );
      await sql`insert into events select sequence, event_id, type, source, subject, time, recorded_at, traceparent, correlation_id, order_id, body, hash, '1999-01-01' from events where sequence = 23`;
    };
    expect(await after(twice)).toEqual(["EVENT_ADDED 23"]);
  });

  test("whose hash was made to fit is where the next one does not follow any more", async () => {
    const forge = async (sql: Sql) => {
      await sql`update events set body = '' where sequence = 23`;
      const [before] = await entriesBetween(sql, 22n, 22n);
      const [entry] = await entriesBetween(sql, 23n, 23n);
      if (before && entry) await sql`update events set hash = ${hashOf(before.hash, entry)} where sequence = 23`;
    };
    expect(await after(forge)).toEqual(["EVENT_CHANGED 24"]);
  });

  test("before which everything was computed anew does not fit the next checkpoint, nor the end that was signed", async () => {
    const rewrite = async (sql: Sql) => {
      await sql`update events set body = '' where sequence = 43`;
      await rehash(sql, 43n);
    };
    expect(await after(rewrite)).toEqual(["CHECKPOINT_DIFFERS 50", "CHECKPOINT_DIFFERS 60", "SIGNATURE_INVALID 60"]);
  });

  test("that was removed, and the others moved up, does not fit either", async () => {
    const close = async (sql: Sql) => {
      await sql`delete from events where sequence = 43`;
      for (let sequence = 44n; sequence <= BigInt(EVENTS); sequence++)
        await sql`update events set sequence = sequence - 1 where sequence = ${sequence}`;
      await rehash(sql, 43n);
      await sql`update head set sequence = sequence - 1`;
    };
    expect(await after(close)).toEqual(["CHECKPOINT_DIFFERS 50", "SIGNATURE_INVALID 59"]);
  });
});

describe("the end", () => {
  test("that was cut off is missing", async () => {
    expect(await after((sql) => sql`delete from events where sequence > 55`)).toEqual(["TAIL_MISSING 56"]);
  });

  test("that was cut off and moved back was not signed like that, not even with the signature of a checkpoint", async () => {
    const cut = async (sql: Sql) => {
      await sql`delete from events where sequence > 50`;
      await sql`update head h set sequence = c.sequence, hash = c.hash, recorded_at = c.recorded_at, signature = c.signature from checkpoints c where c.sequence = 50`;
    };
    expect(await after(cut)).toEqual(["SIGNATURE_INVALID 50"]);
  });

  test("behind which something was added is named", async () => {
    const add = (sql: Sql) => sql`
      insert into events select 61, event_id, type, source, subject, time, recorded_at, traceparent, correlation_id, order_id, body, hash, month from events where sequence = 60`;
    expect(await after(add)).toEqual(["EVENT_ADDED 61"]);
  });

  test("that was known elsewhere is missed, even where an old end and its signature were put back", async () => {
    const old = await readHead(app.sql);
    const more = Array.from({ length: 5 }, () => factMessage(system, OrderCreated, { orderId: system.random.id() }));
    await tell(system, ...more);
    const { head: known } = await system.as("admin", EventLogService).verifyChain({});
    const rollBack = async (sql: Sql) => {
      await sql`delete from events where sequence > ${old.sequence}`;
      await sql`update head set sequence = ${old.sequence}, hash = ${old.hash}, recorded_at = ${old.recorded_at}, signature = ${old.signature}`;
    };
    expect(await after(rollBack)).toEqual([]);
    expect(known).toBeDefined();
    if (known) expect(await after(rollBack, { known })).toEqual(["TAIL_MISSING 61"]);
  });
});

describe("a checkpoint", () => {
  test("that was changed was not signed like that", async () => {
    expect(
      await after((sql) => sql`update checkpoints set hash = decode(repeat('00', 32), 'hex') where sequence = 30`),
    ).toEqual(["SIGNATURE_INVALID 30"]);
  });

  test("that was known elsewhere is compared", async () => {
    const [entry] = await entriesBetween(app.sql, 30n, 30n);
    const known = { sequence: 30n, hash: entry?.hash ?? new Uint8Array() };
    expect(await after(async () => {}, { known })).toEqual([]);
    expect(await after(async () => {}, { known: { ...known, hash: new Uint8Array(32) } })).toEqual([
      "CHECKPOINT_DIFFERS 30",
    ]);
  });
});

test("the RPC says what is wrong in words, and the log says so too", async () => {
  await app.sql.unsafe("grant update on head to current_user");
  const { signature } = await readHead(app.sql);
  await app.sql`update head set signature = ''`;
  const reply = await system.as("admin", EventLogService).verifyChain({});
  await app.sql`update head set signature = ${signature}`;
  expect(reply.intact).toBe(false);
  expect(reply.problems[0]?.says).toContain(
    "expected a head at event 65 that was signed by the journal, found one that was not",
  );
  expect(system.lines.findLast(({ event }) => event === "eventlog.broken")?.level).toBe("error");
});
