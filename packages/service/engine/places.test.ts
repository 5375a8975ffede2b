import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import type { DescMethod } from "@bufbuild/protobuf";
import { eventually } from "../../../tests/kit/eventually.ts";
import { testPorts } from "../../../tests/kit/ports.ts";
import { OpsService } from "../../api/gen/bodega/ops/v1/ops_pb.ts";
import { DeliverMail, SendPasswordReset } from "../../api/jobs.ts";
import { BUCKETS, bucketOf, bucketOfCustomer } from "../../time/ids.ts";
import type { App } from "../app.ts";
import type { Caller } from "../caller.ts";
import { invalidField } from "../errors.ts";
import { does, effect, service } from "../service.ts";
import { backlogOf } from "./backlog.ts";
import { handlersOf } from "./handle.ts";
import { opsHandlers } from "./ops.ts";
import { runService } from "./runtime.ts";
import { startWorker, type Worker } from "./worker.ts";

setDefaultTimeout(60_000);
const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

const idIn = (bucket: number, n: number) =>
  `01900000-0000-7000-8${(bucket << 6).toString(16).padStart(3, "0")}-${String(n).padStart(12, "0")}`;
const LOW = idIn(3, 1);
const HIGH = idIn(BUCKETS - 3, 2);

/** A service whose buckets lie in two databases, half of them in each. */
async function spread() {
  const { ports } = await testPorts();
  const second = (await testPorts()).ports;
  const definition = service({ name: "mail", config: {}, answers: [], hears: [], does: [] });
  const [low, high] = await Promise.all([
    runService(definition, ports),
    runService(definition, { ...second, clock: ports.clock, log: ports.log }),
  ]);
  closers.push(low.close, high.close);
  const half = (bucket: number) => (bucket < BUCKETS / 2 ? low.app : high.app);
  const app: App = {
    ...low.app,
    at: (id) => half(bucketOf(id)),
    atCustomer: (id) => half(bucketOfCustomer(id)),
    everywhere: () => [low.app, high.app],
  };
  const work = (works: Parameters<typeof startWorker>[1]): Worker => {
    const known = { jobs: [SendPasswordReset.type], facts: [], heard: [] };
    const worker = startWorker(app, works, handlersOf("mail", [], works), ports.jobs, () => known);
    closers.push(worker.close);
    return worker;
  };
  return { app, work, low: low.app, high: high.app };
}

const rowsIn = async ({ sql }: Pick<App, "sql">, table: string) =>
  (await sql.unsafe<{ key: string }[]>(`select key from ${table}`)).map(({ key }) => key);

test("jobs are done, and effects performed and settled, in the database in which they lie", async () => {
  const { app, work, low, high } = await spread();
  const seen: string[] = [];
  const where = async (key: string, sql: App["sql"]) => {
    const [row] = await sql<{ name: string }[]>`select current_database() as name`;
    seen.push(`${key === LOW ? "low" : "high"} ${row?.name}`);
  };
  for (const id of [LOW, HIGH]) {
    await app.at(id).transact(async (tx) => {
      tx.enqueue(SendPasswordReset, { userId: id });
      tx.enqueue(DeliverMail, { mailId: id });
    });
  }
  work([
    does(SendPasswordReset, (_app, { body, tx }) => where(body.userId, tx.sql)),
    effect(DeliverMail, {
      perform: async (_app: App, { body }) => body.mailId,
      settle: (_app, { tx }, mailId) => where(mailId, tx.sql),
    }),
  ]);
  await eventually(async () => (await backlogOf(app)).due === 0n && seen.length === 4);
  const name = async ({ sql }: App) => (await sql<{ name: string }[]>`select current_database() as name`)[0]?.name;
  const [inLow, inHigh] = [await name(low), await name(high)];
  expect(seen.toSorted()).toEqual([`high ${inHigh}`, `high ${inHigh}`, `low ${inLow}`, `low ${inLow}`].toSorted());
});

test("what fails for good is parked where it lies, and operators see, replay and discard it wherever that is", async () => {
  const { app, work, low, high } = await spread();
  for (const id of [LOW, HIGH]) await app.at(id).transact(async (tx) => tx.enqueue(DeliverMail, { mailId: id }));
  const worker = work([
    effect(DeliverMail, {
      perform: async () => {
        throw invalidField("mail_id", "is not to be sent");
      },
      settle: () => {},
    }),
  ]);
  await eventually(async () => (await backlogOf(app)).parked === 2n);
  await worker.close();
  expect([await rowsIn(low, "parked"), await rowsIn(high, "parked")]).toEqual([[LOW], [HIGH]]);

  const ask = (method: DescMethod, req: object) =>
    opsHandlers("mail", app.clock.now()).handlers[method.localName]?.(app, callerOf(method), req, QUIET, {
      headers: new Headers(),
      signal: QUIET,
    });
  const { listParked, replayParked, discardParked } = OpsService.method;
  const all = (await ask(listParked, { pageSize: 10, pageToken: "" })).parked;
  expect(all.map(({ key }: { key: string }) => key).toSorted()).toEqual([LOW, HIGH].toSorted());
  // Both are the first of their database: a page of one has both rather than lose one.
  expect(await ask(listParked, { pageSize: 1, pageToken: "" })).toMatchObject({ parked: [{}, {}], nextPageToken: "" });
  const idOf = (key: string) => all.find((each: { key: string }) => each.key === key)?.parkedId;
  expect(await ask(replayParked, { parkedIds: [idOf(HIGH)] })).toEqual({ replayed: 1 });
  expect(await ask(discardParked, { parkedIds: [idOf(LOW)], reason: "seen" })).toEqual({ discarded: 1 });
  expect([await rowsIn(low, "jobs"), await rowsIn(high, "jobs")]).toEqual([[], [HIGH]]);
  expect(await backlogOf(app)).toMatchObject({ parked: 0n, due: 1n });
});

const QUIET = new AbortController().signal;
const callerOf = (rpc: DescMethod): Caller => ({
  ...{ userId: idIn(0, 9), roles: [], admin: true, rpc },
  ...{ token: "", address: "", network: "", fromAuth: true },
});
