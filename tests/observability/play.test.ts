import { afterEach, beforeEach, expect, mock, spyOn, test } from "bun:test";
import { type Part, play } from "./play.ts";

/** What is said here must not be taken for failures of this run. */
let said = "";
beforeEach(() => {
  said = "";
  spyOn(process.stdout, "write").mockImplementation((text) => {
    said += text;
    return true;
  });
});
afterEach(() => void mock.restore());

/** Something that goes wrong the first few times. */
function wrongAtFirst(times: number): Part & { played: () => number } {
  let played = 0;
  const part: Part = async ({ checkNow }) => {
    played += 1;
    await checkNow("it is as it should be", async () => (played <= times ? "it is not" : undefined));
  };
  return Object.assign(part, { played: () => played });
}

test("faults are made once more when one fails, count as they were then, and what failed is named", async () => {
  const once = wrongAtFirst(1);
  expect(await play("faults", once)).toEqual({ passed: 2, failed: 0, skipped: 0 });
  expect(said).toContain("held when all of it was made once more: it is as it should be");
  expect(once.played()).toBe(2);
});

test("what fails twice has failed", async () => {
  const twice = wrongAtFirst(2);
  expect(await play("faults", twice)).toEqual({ passed: 1, failed: 1, skipped: 0 });
  expect(twice.played()).toBe(2);
});

test("no other part is played twice", async () => {
  const once = wrongAtFirst(1);
  expect(await play("life", once)).toEqual({ passed: 1, failed: 1, skipped: 0 });
  expect(once.played()).toBe(1);
});

test("a part that does not come to its end has failed", async () => {
  const broken: Part = () => Promise.reject(new Error("the shop is gone"));
  expect(await play("life", broken)).toEqual({ passed: 0, failed: 1, skipped: 0 });
});
