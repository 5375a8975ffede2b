// The two-phase commit with every step of it failing.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { ConnectError } from "@connectrpc/connect";
import { OrderStatus } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { VERDICTS } from "../../services/points/hold.ts";
import { settle } from "../../services/points/settle-hold.ts";
import { orderNow, reserved } from "../kit/customers.ts";
import { eventually } from "../kit/eventually.ts";
import { halfDone, holdStatus, parked, payWithPoints, pointsOf, startPoints } from "../kit/services/points.ts";
import {
  type Broken,
  DOUBT_MS_MAX,
  FAULTS,
  type FaultName,
  IN_DOUBT_MS,
  OUTAGE_MS,
} from "../kit/services/points-faults.ts";
import type { System, User } from "../kit/system.ts";

setDefaultTimeout(240_000);

let system: System;
let burger: string;
let ann: User;
beforeAll(async () => {
  ({ system, burger, ann } = await startPoints());
});
afterAll(() => system.close());

/** What one customer did: asked twice while things were broken, and, when it is persistent, until there is an answer once they are mended. */
interface Run {
  faults: FaultName[];
  /** How long it was broken: through the timers of holds, or not. */
  outageMs: number;
  persistent: boolean;
}

/** These strike when the customer has long been answered. */
const LATER: FaultName[] = ["nobody is told of the decision", "points cannot carry it out", "facts are told twice"];
/** How often each fault has struck, in all runs. */
const strikes = new Map<FaultName, number>();

/** Everything that is wrong after one run, in sentences. */
async function live({ faults, outageMs, persistent }: Run): Promise<string[]> {
  const orderId = await reserved(system, ann, burger);
  const [before] = await pointsOf(system, ann);
  const broken: [FaultName, Broken][] = [];
  for (const fault of faults) broken.push([fault, await FAULTS[fault](system)]);
  const key = system.random.id();
  const ask = () =>
    payWithPoints(system, ann, orderId, key).then(
      () => "paid",
      (error: unknown) => ConnectError.from(error).rawMessage,
    );
  const answers = [await ask(), await ask()];
  // What fails by itself after an answer is waited for; whether the others strike depends on what came before.
  const [only] = broken;
  if (broken.length === 1 && only && LATER.includes(only[0]))
    await eventually(async () => (await only[1].strikes()) > 0);
  system.clock.advance(outageMs);
  for (const [fault, each] of broken.reverse()) {
    strikes.set(fault, (strikes.get(fault) ?? 0) + (await each.strikes()));
    await each.mend();
  }
  const mendedAt = system.clock.now();
  await system.settle();
  if (persistent) answers.push(await untilPaid(ask));
  await system.advance(IN_DOUBT_MS);
  const { status, paidPoints } = await orderNow(system, orderId);
  const paid = status === OrderStatus.PAID;
  const [balance, held] = await pointsOf(system, ann);
  const holds = await system.app("points").sql<
    { created_at: Date; updated_at: Date; status: string }[]
  >`select created_at, updated_at, status from holds where order_id = ${orderId}`;
  const late = holds.filter(
    ({ created_at, updated_at }) => +updated_at > Math.max(+created_at + IN_DOUBT_MS, +mendedAt) + DOUBT_MS_MAX,
  );
  return [
    ...(answers.includes("paid") && !paid ? ["the customer was told that it is paid, and it is not"] : []),
    ...(persistent && !paid ? [`it could not be paid: ${answers.join(" | ")}`] : []),
    ...(balance === before - paidPoints ? [] : [`the balance fell from ${before} to ${balance} for ${paidPoints}`]),
    ...(held === 0n ? [] : [`${held} points stay held`]),
    ...(late.length > 0 ? [`a hold was in doubt until ${late[0]?.updated_at.toISOString()}`] : []),
    ...(await halfDone(system)),
    ...(await parked(system)),
  ].map((what) => `${faults.join(" + ")}, ${outageMs} ms, ${persistent ? "asked again" : "given up"}: ${what}`);
}

async function untilPaid(ask: () => Promise<string>): Promise<string> {
  let answer = await ask();
  for (let again = 0; again < 3 && answer !== "paid"; again++) {
    await system.settle();
    answer = await ask();
  }
  return answer;
}

// The keys of FAULTS are its fault names.
const NAMES = Object.keys(FAULTS) as FaultName[];

describe("one thing fails", () => {
  test.each(NAMES)("%s: paid whole or not at all, and out of doubt in time", async (fault) => {
    for (const outageMs of [0, OUTAGE_MS])
      for (const persistent of [true, false]) expect(await live({ faults: [fault], outageMs, persistent })).toEqual([]);
  });
});

test("any two things fail at once: paid whole or not at all, and out of doubt in time", async () => {
  const pairs = NAMES.flatMap((first, at) => NAMES.slice(at + 1).map((second) => [first, second]));
  const wrong: string[] = [];
  for (const [n, faults] of pairs.entries())
    wrong.push(...(await live({ faults, outageMs: n % 3 === 0 ? 0 : OUTAGE_MS, persistent: n % 2 === 0 })));
  expect(wrong).toEqual([]);
});

describe("the question fails while it is asked, for minutes", () => {
  const questions = NAMES.slice(-3);
  test.each(questions)("%s: the hold of a payment that nobody decided is released when it does", async (fault) => {
    const orderId = await reserved(system, ann, burger);
    const lost = await FAULTS["the answer to prepare is lost"](system);
    await payWithPoints(system, ann, orderId).catch(ConnectError.from);
    await lost.mend();
    await inVain(fault);
    expect(await holdStatus(system, orderId)).toBe("RELEASED");
    expect(await halfDone(system)).toEqual([]);
  });

  test.each(questions)("%s: a payment that was decided and not told is committed when it does", async (fault) => {
    const orderId = await reserved(system, ann, burger);
    const untold = await FAULTS["nobody is told of the decision"](system);
    await payWithPoints(system, ann, orderId);
    await inVain(fault, () => eventually(async () => (await holdStatus(system, orderId)) === "COMMITTED"));
    // The fact comes last, and finds everything done.
    await untold.mend();
    await system.settle();
    expect(await parked(system)).toEqual([]);
    expect(await halfDone(system)).toEqual([]);
  });

  test("every question and every answer comes twice: the hold is released once", async () => {
    const orderId = await reserved(system, ann, burger);
    const lost = await FAULTS["the answer to prepare is lost"](system);
    await payWithPoints(system, ann, orderId).catch(ConnectError.from);
    await lost.mend();
    const twice = await FAULTS["jobs are sent twice"](system);
    await system.advance(IN_DOUBT_MS);
    expect(await twice.strikes()).toBeGreaterThanOrEqual(2);
    strikes.set("jobs are sent twice", await twice.strikes());
    await twice.mend();
    expect(await holdStatus(system, orderId)).toBe("RELEASED");
    expect(await parked(system)).toEqual([]);
    expect(await halfDone(system)).toEqual([]);
  });

  /** The timer of the hold fires, asks in vain for five minutes, and is answered in time once it can be. */
  async function inVain(fault: FaultName, answered = () => system.settle()) {
    const broken = await FAULTS[fault](system);
    system.clock.advance(IN_DOUBT_MS);
    await eventually(async () => (await broken.strikes()) > 0);
    system.clock.advance(OUTAGE_MS);
    strikes.set(fault, (strikes.get(fault) ?? 0) + (await broken.strikes()));
    await broken.mend();
    const mendedAt = system.clock.now();
    await answered();
    expect(+system.clock.now() - +mendedAt).toBeLessThanOrEqual(DOUBT_MS_MAX);
  }
});

test("none of these was in vain: every fault has struck", () => {
  expect(NAMES.filter((name) => !strikes.get(name))).toEqual([]);
});

test("the planted bug: a participant that does not let go is found out", async () => {
  const { HELD } = VERDICTS.abort;
  VERDICTS.abort.HELD = null;
  const wrong = await live({ faults: ["the answer to prepare is lost"], outageMs: OUTAGE_MS, persistent: false });
  VERDICTS.abort.HELD = HELD;
  expect(wrong.join()).toContain("450 points stay held");
  expect(wrong.join()).toContain("is HELD: expected RELEASED");
  const { sql } = system.app("points");
  const [left] = await sql<{ hold_id: string; order_id: string }[]>`select * from holds where status = 'HELD'`;
  await system.app("points").transact(async (tx) => {
    const { hold_id: holdId, order_id: orderId } = left ?? { hold_id: "", order_id: "" };
    await settle(system.app("points"), tx, [{ holdId, orderId, verdict: "abort", tx }]);
  });
  expect(await halfDone(system)).toEqual([]);
});
