import { expect, test } from "bun:test";
import { onceASecond } from "./wake-ups.ts";

function counted() {
  const sent: [string, number][] = [];
  const time = { now: 10_250 };
  const wakeLater = onceASecond(
    () => time.now,
    (queue, ms) => sent.push([queue, ms]),
  );
  return { sent, time, wakeLater };
}

test("all who fall due in one second are served by one wake-up, at its beginning", () => {
  const { sent, wakeLater } = counted();
  for (const ms of [2_800, 2_900, 3_700]) wakeLater("mail", ms);
  expect(sent).toEqual([["mail", 2_750]]);
  wakeLater("mail", 3_750);
  wakeLater("order", 2_800);
  expect(sent.slice(1)).toEqual([
    ["mail", 3_750],
    ["order", 2_750],
  ]);
});

test("what is due within two seconds, or after more than a day, is left to those who look", () => {
  const { sent, wakeLater } = counted();
  for (const ms of [-5, 0, 1_999, 86_400_001, Number.NaN]) wakeLater("mail", ms);
  expect(sent).toEqual([]);
});

test("however long it goes on, no second is served twice", () => {
  const { sent, time, wakeLater } = counted();
  for (let second = 0; second < 5_000; second++) {
    wakeLater("mail", 2_000);
    wakeLater("mail", 3_600_000);
    time.now += 1_000;
  }
  // From the 3,599th second on, what is near was served when it was far.
  expect(sent).toHaveLength(5_000 + 3_598);
});
