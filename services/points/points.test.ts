import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import * as facts from "../../packages/api/facts.ts";
import { Decision } from "../../packages/api/gen/bodega/points/v1/events_pb.ts";
import {
  EntryKind,
  EntryKindSchema,
  HoldStatus,
  PointsService,
} from "../../packages/api/gen/bodega/points/v1/points_pb.ts";
import { SettleHold } from "../../packages/api/jobs.ts";
import { ask, collectFacts, factMessage, type Told, tell } from "../../tests/kit/messages.ts";
import { refusal } from "../../tests/kit/refusal.ts";
import { asService, grant, holdOf, pointsDifferences, pointsOf } from "../../tests/kit/services/points.ts";
import { type System, startSystem, type User } from "../../tests/kit/system.ts";

setDefaultTimeout(60_000);
let system: System;
let told: Told[];
/** Orders whose coordinator was asked: it does not run here. */
const asked: string[] = [];
beforeAll(async () => {
  system = await startSystem({ services: ["points"] });
  const { jobs } = system.platform;
  const send = jobs.send;
  jobs.send = async (queue, messages) => {
    if (queue === "order") asked.push(...messages.map(({ key }) => key));
    else await send(queue, messages);
  };
  told = await collectFacts(system, [
    facts.PointsGranted,
    facts.PointsHeld,
    facts.PointsCommitted,
    facts.PointsReleased,
  ]);
});
afterAll(() => system.close());

const admin = () => system.as("admin", PointsService);
const prepare = ({ userId }: User, orderId: string, amount: bigint) =>
  asService(system).prepareHold({ orderId, userId, amount });
const orderOf = ({ userId }: User) => system.random.idFor(userId);
const total = (minorUnits: bigint) => ({ currencyCode: "EUR", minorUnits });

async function someone(amount: bigint): Promise<User> {
  const user = system.newCustomer();
  if (amount > 0n) await grant(system, user, amount);
  return user;
}

function toldAbout({ userId }: User): string[] {
  return told.filter(({ key }) => key === userId).map(({ type }) => type);
}

test("a grant counts once per request, whoever asks again and however late", async () => {
  const ann = await someone(0n);
  const asked = { requestId: `grant-${ann.userId}`, userId: ann.userId, amount: 70n, reason: "welcome" };
  const answers = await Promise.all(Array.from({ length: 20 }, () => admin().grantPoints(asked)));
  for (const answer of answers) expect(answer).toMatchObject({ balance: 70n, held: 0n, available: 70n });
  expect(await refusal(admin().grantPoints({ ...asked, amount: 71n }))).toMatchObject({ code: Code.AlreadyExists });
  // The stored answer may be forgotten; the ledger is not.
  await system.app("points").sql`delete from idempotency`;
  expect(await refusal(admin().grantPoints(asked))).toMatchObject({
    code: Code.AlreadyExists,
    reason: "REQUEST_ID_USED",
  });
  await admin().grantPoints({ ...asked, requestId: "capital", userId: ann.userId.toUpperCase(), amount: 5n });
  expect(await pointsOf(system, ann)).toEqual([75n, 0n]);
  expect(
    await refusal(admin().grantPoints({ ...asked, requestId: "flood", amount: 1_000_000_000_001n })),
  ).toMatchObject({ code: Code.InvalidArgument });
  await system.app("points").sql`alter table ledger disable trigger user`;
  await system.app("points").sql`update ledger set amount = sign(amount) * ${10n ** 15n} where user_id = ${ann.userId}
    and cause_id like '%capital'`;
  await system.app("points").sql`update accounts set balance = ${10n ** 15n + 70n} where user_id = ${ann.userId}`;
  await system.app("points").sql`alter table ledger enable trigger user`;
  expect(await refusal(admin().grantPoints({ ...asked, requestId: "full" }))).toMatchObject({
    code: Code.OutOfRange,
    reason: "TOO_MANY_POINTS",
  });
  await system.settle();
  expect(toldAbout(ann)).toEqual(["points.granted", "points.granted"]);
  expect(await pointsDifferences(system)).toEqual([]);
});

test("everybody sees their own points, admins everybody's, and another's are as good as none", async () => {
  const [ann, bob] = [await someone(10n), await someone(0n)];
  const own = system.as(ann, PointsService);
  expect(await own.getBalance({})).toMatchObject({ userId: ann.userId, balance: 10n, held: 0n, available: 10n });
  expect(await own.getBalance({ userId: ann.userId.toUpperCase() })).toMatchObject({ balance: 10n });
  expect(await system.as(bob, PointsService).getBalance({})).toMatchObject({ balance: 0n, held: 0n });
  for (const userId of [ann.userId, system.random.id()]) {
    const asBob = system.as(bob, PointsService);
    for (const call of [() => asBob.getBalance({ userId }), () => asBob.listEntries({ userId })])
      expect(await refusal(call())).toEqual({
        code: Code.NotFound,
        reason: "POINTS_ACCOUNT_NOT_FOUND",
        message: `there is no points account ${userId}`,
        retryMs: undefined,
      });
  }
  expect((await admin().listEntries({ userId: ann.userId })).entries).toHaveLength(1);
  expect(await refusal(asService(system).getBalance({}))).toMatchObject({ code: Code.InvalidArgument });
  for (const call of [
    () => own.grantPoints({ requestId: "mine", userId: ann.userId, amount: 1n, reason: "me" }),
    () => own.prepareHold({ orderId: orderOf(ann), userId: ann.userId, amount: 1n }),
    () => own.getHold({ orderId: orderOf(ann) }),
    () => own.reconcile({}),
    () => admin().prepareHold({ orderId: orderOf(ann), userId: ann.userId, amount: 1n }),
  ])
    expect(await refusal(call())).toMatchObject({ code: Code.PermissionDenied });
});

test("preparing again answers the same hold; another amount, or too many points, is refused with what was needed and found", async () => {
  const ann = await someone(100n);
  const orderId = orderOf(ann);
  const holds = await Promise.all(Array.from({ length: 20 }, () => prepare(ann, orderId, 60n)));
  expect(new Set(holds.map(({ hold }) => hold?.holdId)).size).toBe(1);
  expect(await pointsOf(system, ann)).toEqual([100n, 60n]);
  expect(await refusal(prepare(ann, orderId, 61n))).toMatchObject({ code: Code.AlreadyExists, reason: "HOLD_DIFFERS" });
  const other = orderOf(ann);
  expect(await refusal(prepare(ann, other, 41n))).toEqual({
    code: Code.FailedPrecondition,
    reason: "NOT_ENOUGH_POINTS",
    message: `order ${other} costs 41 points: expected as many available, found 40, and 60 held for other orders`,
    retryMs: undefined,
  });
  const bob = await someone(0n);
  expect((await refusal(prepare(bob, orderOf(bob), 1n))).message).toContain("expected as many available, found 0");
  const free = orderOf(bob);
  expect((await prepare(bob, free, 0n)).hold).toMatchObject({ amount: 0n, status: HoldStatus.HELD });
  await system.settle();
  expect(toldAbout(ann)).toEqual(["points.granted", "points.held"]);
  expect(await pointsDifferences(system)).toEqual([]);
});

test("two hundred orders at once hold what is there and not a point more", async () => {
  const ann = await someone(500n);
  const answers = await Promise.allSettled(Array.from({ length: 200 }, () => prepare(ann, orderOf(ann), 7n)));
  expect(answers.filter(({ status }) => status === "fulfilled")).toHaveLength(71);
  expect(await pointsOf(system, ann)).toEqual([500n, 497n]);
  expect(await pointsDifferences(system)).toEqual([]);
});

test("a released order may hold again; entries are listed newest first, page by page, and sum up to the balance", async () => {
  const ann = await someone(100n);
  const orderId = orderOf(ann);
  const { hold: first } = await prepare(ann, orderId, 30n);
  const holdId = first?.holdId ?? "";
  system.clock.advance(1_000);
  await ask(system, SettleHold, { holdId, orderId, decision: Decision.ABORT });
  const settledAt = timestampFromDate(system.clock.now());
  system.clock.advance(1_000);
  await ask(system, SettleHold, { holdId, orderId, decision: Decision.ABORT });
  expect((await holdOf(system, orderId)).updatedAt).toEqual(settledAt);
  expect(await pointsOf(system, ann)).toEqual([100n, 0n]);
  const { hold: second } = await prepare(ann, orderId, 30n);
  expect(second?.holdId).not.toBe(holdId);
  await tell(system, factMessage(system, facts.OrderPaid, { orderId, holdId: second?.holdId ?? "", points: 30n }));
  expect(await pointsOf(system, ann)).toEqual([70n, 0n]);
  const own = system.as(ann, PointsService);
  const page = await own.listEntries({ pageSize: 2 });
  const rest = await own.listEntries({ pageSize: 5, pageToken: page.nextPageToken });
  const entries = [...page.entries, ...rest.entries];
  expect(entries.map(({ kind }) => EntryKindSchema.value[kind]?.localName)).toEqual([
    "COMMITTED",
    "HELD",
    "RELEASED",
    "HELD",
    "GRANTED",
  ]);
  expect(entries.reduce((sum, { balanceDelta }) => sum + balanceDelta, 0n)).toBe(70n);
  expect(entries.reduce((sum, { heldDelta }) => sum + heldDelta, 0n)).toBe(0n);
  expect(toldAbout(ann).slice(1)).toEqual(["points.held", "points.released", "points.held", "points.committed"]);
  expect(await refusal(system.as("admin", PointsService).listEntries({ pageToken: page.nextPageToken }))).toMatchObject(
    { code: Code.InvalidArgument },
  );
});

test("an order that is completed earns points once, unless points have paid it", async () => {
  const ann = await someone(0n);
  const orderId = orderOf(ann);
  const completed = { orderId, customerId: ann.userId, total: total(1_234n) };
  const message = factMessage(system, facts.OrderCompleted, completed);
  await tell(system, message, message, factMessage(system, facts.OrderCompleted, completed));
  await tell(system, factMessage(system, facts.OrderCompleted, completed));
  await tell(
    system,
    factMessage(system, facts.OrderCompleted, { ...completed, orderId: orderOf(ann), holdId: orderOf(ann) }),
    factMessage(system, facts.OrderCompleted, { ...completed, orderId: orderOf(ann), total: total(99n) }),
  );
  expect(await pointsOf(system, ann)).toEqual([12n, 0n]);
  const { entries } = await system.as(ann, PointsService).listEntries({});
  expect(entries).toMatchObject([{ kind: EntryKind.GRANTED, balanceDelta: 12n, orderId, reason: "order completed" }]);
});

test("cancelled after it was paid: the points come back once, also when both facts come in one batch, or the first was missed", async () => {
  const ann = await someone(100n);
  for (const missed of [false, true]) {
    const orderId = orderOf(ann);
    const { hold } = await prepare(ann, orderId, 40n);
    const paid = { orderId, customerId: ann.userId, holdId: hold?.holdId ?? "", points: 40n };
    const cancelled = factMessage(system, facts.OrderCancelled, { ...paid, wasPaid: true });
    await tell(system, ...(missed ? [] : [factMessage(system, facts.OrderPaid, paid)]), cancelled, cancelled);
    await tell(system, factMessage(system, facts.OrderCancelled, { ...paid, wasPaid: true }));
    // COMMIT in answer to a question may come last of all.
    await ask(system, SettleHold, { holdId: paid.holdId, orderId, decision: Decision.COMMIT });
    expect((await holdOf(system, orderId)).status).toBe(HoldStatus.RETURNED);
    expect(await pointsOf(system, ann)).toEqual([100n, 0n]);
  }
  expect(toldAbout(ann).slice(1, 4)).toEqual(["points.held", "points.committed", "points.released"]);
  expect(await system.app("points").sql`select from parked`).toHaveLength(0);
  expect(await pointsDifferences(system)).toEqual([]);
});

test("verdicts that would break the two-phase commit are parked for a person, and block nobody", async () => {
  const ann = await someone(100n);
  const orderId = orderOf(ann);
  const holdId = (await prepare(ann, orderId, 40n)).hold?.holdId ?? "";
  await ask(system, SettleHold, { holdId, orderId, decision: Decision.ABORT });
  const paid = { orderId, customerId: ann.userId, holdId, points: 40n };
  await tell(system, factMessage(system, facts.OrderPaid, paid));
  const strange = orderOf(ann);
  await tell(system, factMessage(system, facts.OrderPaid, { ...paid, orderId: strange }));
  const key = orderOf(ann);
  await tell(system, { ...factMessage(system, facts.OrderPaid, { ...paid, orderId: "no id" }), key });
  await ask(system, SettleHold, { holdId, orderId, decision: Decision.UNSPECIFIED });
  // A hold that is not there may only be early, for an hour.
  await system.advance(3_600_000);
  const parked = await system.app("points").sql<{ key: string; error: string }[]>`select key, error from parked`;
  const errors = new Map(parked.map(({ key, error }) => [key, error]));
  expect(errors.get(orderId)).toBe(`hold ${holdId} of order ${orderId} is RELEASED: told commit`);
  expect(errors.get(strange)).toContain(`there is no hold ${holdId} of order ${strange}`);
  expect(errors.get(key)).toContain("expected a UUID");
  expect(errors.get(holdId)).toContain("expected COMMIT or ABORT");
  expect(await pointsOf(system, ann)).toEqual([100n, 0n]);
  const next = orderOf(ann);
  const nextHold = (await prepare(ann, next, 40n)).hold?.holdId ?? "";
  await tell(system, factMessage(system, facts.OrderPaid, { ...paid, orderId: next, holdId: nextHold }));
  expect(await pointsOf(system, ann)).toEqual([60n, 0n]);
});

test("a hold asks about itself when it is thirty seconds old, and not when it is decided by then", async () => {
  await system.advance(60_000);
  asked.length = 0;
  const ann = await someone(100n);
  const [open, decided] = [orderOf(ann), orderOf(ann)];
  await prepare(ann, open, 10n);
  const holdId = (await prepare(ann, decided, 10n)).hold?.holdId ?? "";
  await tell(system, factMessage(system, facts.OrderPaid, { orderId: decided, holdId, points: 10n }));
  await system.advance(29_999);
  expect(asked).toEqual([]);
  await system.advance(1);
  expect(asked).toEqual([open]);
});

test("the checker finds a hand in the columns, in the ledger and in the holds; the database refuses most of them", async () => {
  const { sql } = system.app("points");
  const ann = await someone(100n);
  const orderId = orderOf(ann);
  const holdId = (await prepare(ann, orderId, 40n)).hold?.holdId ?? "";
  expect(await pointsDifferences(system)).toEqual([]);
  const attempt = (statement: string) =>
    sql.unsafe(statement).then(
      () => "done",
      (error: Error) => error.message,
    );
  const own = `user_id = '${ann.userId}'`;
  expect(await attempt(`update ledger set amount = 1 where ${own}`)).toBe("ledger is append-only");
  expect(await attempt(`update accounts set held = 101 where ${own}`)).toContain("check constraint");
  expect(await attempt(`update accounts set held = -1 where ${own}`)).toContain("check constraint");
  const half = `insert into ledger select '${holdId}', 'available', user_id, 'granted', 'planted', 5, null, '', '', at from ledger where ${own} limit 1`;
  expect(await attempt(half)).toBe("a movement is not two entries that sum to zero");

  const planted: [change: string, back: string, what: string[]][] = [
    ["update accounts set balance = 101 where @", "update accounts set balance = 100 where @", ["balance"]],
    // The seed's leak: committed, and still held.
    [
      "update holds set status = 'COMMITTED' where @",
      "update holds set status = 'HELD' where @",
      ["hold", "open holds"],
    ],
    ["update accounts set held = 0 where @", "update accounts set held = 40 where @", ["held", "open holds"]],
    [
      "update ledger set amount = 39 where @ and kind = 'held' and account = 'held'",
      "update ledger set amount = 40 where @ and kind = 'held' and account = 'held'",
      ["balance", "held", "hold", "movement"],
    ],
  ];
  await sql`alter table ledger disable trigger user`;
  for (const [change, back, what] of planted) {
    await sql.unsafe(change.replace("@", own));
    expect((await pointsDifferences(system)).map((each) => each.what).sort()).toEqual(what);
    await sql.unsafe(back.replace("@", own));
  }
  await sql`alter table ledger enable trigger user`;
  expect(await pointsDifferences(system)).toEqual([]);
});
