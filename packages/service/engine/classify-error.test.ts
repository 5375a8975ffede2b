import { expect, test } from "bun:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { drivenClock } from "../../time/clock.ts";
import { systemRandom } from "../../time/random.ts";
import { outcomeUnknown, refused } from "../errors.ts";
import { HARMLESS_TO_REPEAT, type Policy, STANDARD } from "../retry-policies.ts";
import { classifyError } from "./classify-error.ts";
import { judge, type Verdict } from "./failures.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const START = new Date("2026-01-05T08:00:00Z");
const away = new ConnectError("nobody is there", Code.Unavailable);

/** What becomes of a message that fails with these errors, one after the other, the last again and again; at most `most` tries. */
function life(errors: unknown[], policy: Policy = STANDARD, most = 20_000) {
  const clock = drivenClock(START);
  const app = { clock, random: systemRandom(clock) };
  const pauses: number[] = [];
  let before: Verdict | undefined;
  for (let attempt = 1; attempt <= most; attempt++) {
    const error = errors[Math.min(attempt, errors.length) - 1];
    const verdict = judge(app, policy, error, attempt, before?.parked === false ? before : undefined);
    if (verdict.parked) return { attempts: attempt, parkedAfterMs: clock.now().getTime() - START.getTime(), pauses };
    const pause = verdict.due_at.getTime() - clock.now().getTime();
    pauses.push(pause);
    clock.advance(pause);
    before = verdict;
  }
  return { attempts: most, parkedAfterMs: Number.POSITIVE_INFINITY, pauses };
}

test("what is away is tried for more than a day, each minute at the latest, and then given up", () => {
  const { parkedAfterMs, pauses } = life([away]);
  expect(parkedAfterMs).toBeGreaterThan(24 * HOUR);
  expect(parkedAfterMs).toBeLessThan(72 * HOUR);
  expect(Math.max(...pauses)).toBeLessThan(MINUTE);
  expect(pauses[0]).toBeLessThanOrEqual(1_000);
});

test("what is not there yet is tried for an hour, quickly at first", () => {
  const { parkedAfterMs, pauses } = life([new ConnectError("no such order", Code.NotFound)]);
  expect(parkedAfterMs).toBeGreaterThanOrEqual(HOUR);
  expect(parkedAfterMs).toBeLessThan(HOUR + 2 * MINUTE);
  expect(pauses[0]).toBeLessThanOrEqual(200);
});

test("what can never succeed is parked at the first try, and a bug after five", () => {
  expect(life([new ConnectError("not an id", Code.InvalidArgument)]).attempts).toBe(1);
  expect(life([new Error("undefined is not a function")]).attempts).toBe(5);
});

test("what may have happened is tried a few times over hours, unless it does no harm to repeat it", () => {
  const { attempts, parkedAfterMs, pauses } = life([outcomeUnknown("the answer was lost")]);
  expect(attempts).toBe(6);
  expect(Math.min(...pauses)).toBeGreaterThanOrEqual(5 * MINUTE);
  expect(parkedAfterMs).toBeGreaterThan(2 * HOUR);
  expect(life([outcomeUnknown("the answer was lost")], HARMLESS_TO_REPEAT).parkedAfterMs).toBeGreaterThan(24 * HOUR);
});

test("tries are counted for each kind of trouble: a long outage leaves a bug its five", () => {
  const outage = Array.from({ length: 500 }, () => away);
  expect(life([...outage, new Error("a bug")]).attempts).toBe(505);
  expect(life([...outage, new ConnectError("early", Code.NotFound)]).pauses.slice(500)[0]).toBeLessThanOrEqual(200);
});

test("what is too slow alone is tried for an hour", () => {
  const tooSlow = Object.assign(new Error("canceling statement due to statement timeout"), { code: "57014" });
  const { attempts, parkedAfterMs } = life([tooSlow]);
  expect(attempts).toBeLessThan(100);
  expect(parkedAfterMs).toBeGreaterThanOrEqual(HOUR);
  expect(parkedAfterMs).toBeLessThan(HOUR + 3 * MINUTE);
});

test("troubles that take turns come to an end too", () => {
  const turns = Array.from({ length: 40_000 }, (_, index) => (index % 2 === 0 ? away : new Error("a bug")));
  expect(life(turns, STANDARD, 40_000).attempts).toBe(30_000);
});

test("who says when to come back is not asked before", () => {
  const busy = refused(Code.ResourceExhausted, "RATE_LIMITED", "too many", 5 * MINUTE);
  expect(life([busy, busy, new ConnectError("gone", Code.InvalidArgument)]).pauses).toEqual([5 * MINUTE, 5 * MINUTE]);
});

test("errors of the network, of contention and of cut-off calls are outages", () => {
  const coded = (code: string) => Object.assign(new Error(code), { code });
  for (const code of ["ECONNREFUSED", "ETIMEDOUT", "ConnectionClosed", "FailedToOpenSocket", "40P01", "40001", "57P01"])
    expect([code, classifyError(coded(code))]).toEqual([code, "away"]);
  expect(classifyError(AbortSignal.timeout(0).reason ?? new DOMException("late", "TimeoutError"))).toBe("away");
  expect(classifyError(coded("23505"))).toBe("bug");
  expect(classifyError("a string")).toBe("bug");
});
