import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { OrderCreated } from "../../packages/api/facts.ts";
import { EventLogService } from "../../packages/api/gen/bodega/eventlog/v1/eventlog_pb.ts";
import { factMessage, tell } from "../../tests/kit/messages.ts";
import { type System, startSystem } from "../../tests/kit/system.ts";
import { addMonths, monthsKept } from "./months.ts";

setDefaultTimeout(60_000);
const MONTH_MS = 31 * 86_400_000;

let system: System;
beforeAll(async () => {
  system = await startSystem({ services: ["eventlog"], env: { EVENTLOG_KEEP_MONTHS: "2" } });
});
afterAll(() => system.close());

const admin = () => system.as("admin", EventLogService);
const events = (count: number) =>
  Array.from({ length: count }, () => factMessage(system, OrderCreated, { orderId: system.random.id() }));

test("whole months are dropped for their age, and what is left still verifies, from the hash that the last of them ended with", async () => {
  for (const count of [5, 4, 3, 2]) {
    await tell(system, ...events(count));
    await system.advance(MONTH_MS);
  }
  await tell(system, ...events(1));
  expect(await monthsKept(system.app("eventlog").sql)).toEqual(["2026-03-01", "2026-04-01", "2026-05-01"]);
  const { intact, checked, firstSequence, head } = await admin().verifyChain({});
  expect({ intact, checked, firstSequence, last: head?.sequence }).toEqual({
    intact: true,
    checked: 6n,
    firstSequence: 10n,
    last: 15n,
  });
  expect((await admin().listEvents({ oldestFirst: true })).events[0]?.sequence).toBe(10n);
});

test("the months that are left are as closed as they were", async () => {
  const outcome = await system.app("eventlog").sql`delete from events_2026_03`.then(() => "done", String);
  expect(outcome).toContain("permission denied");
});

test("services that read learn from when on nothing is missing", async () => {
  const span = { from: timestampFromDate(new Date(0)), to: timestampFromDate(new Date("2027-01-01T00:00:00Z")) };
  const { completeFrom } = await system.app("eventlog").call(EventLogService).readEvents(span);
  expect(completeFrom?.seconds).toBe(BigInt(Date.parse("2026-02-05T08:00:00Z") / 1_000));
});

test("a seal that was changed was not signed like that", async () => {
  const { sql } = system.app("eventlog");
  await sql.unsafe("grant update on seals to current_user; alter table seals disable trigger user");
  await sql`update seals set hash = decode(repeat('00', 32), 'hex') where month = '2026-02-01'`;
  const { problems } = await admin().verifyChain({});
  expect(problems.map(({ says }) => says)[0]).toContain("expected a seal at event 9 that was signed by the journal");
});

test.each([
  ["2026-01-01", 1, "2026-02-01"],
  ["2026-01-01", -1, "2025-12-01"],
  ["2026-12-01", 1, "2027-01-01"],
  ["2026-03-01", -24, "2024-03-01"],
])("%s and %p months are %s", (month, months, then) => {
  expect(addMonths(month, months)).toBe(then);
});
