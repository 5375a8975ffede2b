import { expect, test } from "bun:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { refused } from "../errors.ts";
import { createUntilBack, type UntilBack } from "./until-back.ts";

const away = () => refused(Code.Unavailable, "UNAVAILABLE", "away", 1_000);
const patient = new AbortController().signal;

/** A part that is away until it is told to be back; counts what it was asked. */
function createPart() {
  const part = { away: true, asked: 0 };
  const ask = async () => {
    part.asked += 1;
    if (part.away) throw away();
    return "answered";
  };
  return { part, ask };
}

const told = (answer: Promise<unknown>) =>
  answer.then(
    () => "answered",
    (error: unknown) => Code[ConnectError.from(error).code],
  );

test("who is told to come back is asked for again, and hears nothing of it", async () => {
  const { part, ask } = createPart();
  const asked = createUntilBack()(ask, patient);
  await Bun.sleep(150);
  part.away = false;
  expect(await asked).toBe("answered");
  expect(part.asked).toBeGreaterThan(1);
});

test.each([
  ["a refusal", refused(Code.FailedPrecondition, "ORDER_PAID", "no")],
  ["an absence that nobody says the end of", refused(Code.Unavailable, "PROVIDER_UNAVAILABLE", "away")],
  ["a bug", new Error("a bug")],
])("%s is told at once", async (_, error) => {
  let asked = 0;
  const answer = createUntilBack()(async () => {
    asked += 1;
    throw error;
  }, patient);
  await expect(answer).rejects.toBe(error);
  expect(asked).toBe(1);
});

test("an absence that lasts is told at once, until somebody was answered or nobody has met it for a while", async () => {
  let now = 0;
  const untilBack = createUntilBack(() => now);
  const { part, ask } = createPart();
  const once = async (ms: number) => {
    now += ms;
    part.asked = 0;
    const leaves = AbortSignal.timeout(400);
    return [await told(untilBack(ask, leaves)), part.asked > 1];
  };
  expect(await once(0)).toEqual(["Unavailable", true]);
  expect(await once(10_000)).toEqual(["Unavailable", true]);
  expect(await once(6_000)).toEqual(["Unavailable", false]);
  expect(await once(14_000)).toEqual(["Unavailable", false]);
  part.away = false;
  expect(await once(0)).toEqual(["answered", false]);
  part.away = true;
  expect(await once(0)).toEqual(["Unavailable", true]);
  expect(await once(40_000)).toEqual(["Unavailable", true]);
});

test("one who has waited for eight seconds is told", async () => {
  let now = 0;
  const { part, ask } = createPart();
  const answer = told(createUntilBack(() => now)(ask, patient));
  now = 8_000;
  expect(await answer).toBe("Unavailable");
  expect(part.asked).toBeLessThanOrEqual(2);
});

test("who is told only after six seconds is told, because the next answer would come too late", async () => {
  let now = 0;
  let asked = 0;
  const answer = createUntilBack(() => now)(async () => {
    asked += 1;
    now += 6_000;
    throw away();
  }, patient);
  expect([await told(answer), asked]).toEqual(["Unavailable", 1]);
});

test("of a crowd the most are told at once, and only some wait", async () => {
  const { part, ask } = createPart();
  const untilBack: UntilBack = createUntilBack();
  const outcomes: string[] = [];
  const all = Array.from({ length: 300 }, () =>
    told(untilBack(ask, patient)).then((each) => outcomes.push(each ?? "")),
  );
  await Bun.sleep(30);
  expect(outcomes).toEqual(Array.from({ length: 172 }, () => "Unavailable"));
  part.away = false;
  await Promise.all(all);
  expect(outcomes.slice(172)).toEqual(Array.from({ length: 128 }, () => "answered"));
});
