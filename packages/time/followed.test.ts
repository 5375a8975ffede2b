import { expect, test } from "bun:test";
import { createFollowedTime } from "./followed.ts";

const HOUR_MS = 3_600_000;

/** A machine and a server whose clocks a test sets. */
function twoClocks() {
  const clocks = { wall: 0, monotonic: 0, server: 10 * HOUR_MS, answerTakes: 2 };
  const found: number[] = [];
  const time = createFollowedTime((skew) => found.push(skew), {
    wallMs: () => clocks.wall,
    monotonicMs: () => clocks.monotonic,
  });
  const pass = (ms: number) => {
    clocks.wall += ms;
    clocks.monotonic += ms;
    clocks.server += ms;
  };
  const ask = async () => {
    pass(clocks.answerTakes / 2);
    const ms = clocks.server;
    pass(clocks.answerTakes / 2);
    return { ms, wrongByMs: 0 };
  };
  return { clocks, time, found, pass, ask };
}

test("a machine that is hours wrong, and is set meanwhile, tells the server's time", async () => {
  for (const wrongBy of [-2 * HOUR_MS, 2 * HOUR_MS]) {
    const { clocks, time, pass, ask, found } = twoClocks();
    clocks.wall = clocks.server + wrongBy;
    await time.follow(ask);
    expect(time.nowMs()).toBe(clocks.server);
    pass(60_000);
    clocks.wall -= HOUR_MS;
    expect(time.nowMs()).toBe(clocks.server);
    expect(found).toEqual([wrongBy]);
    expect(time.skewMs()).toBe(wrongBy);
    await time.close();
  }
});

test("a slow answer moves nothing, an answer from a server whose clock was set does", async () => {
  const { clocks, time, pass, ask } = twoClocks();
  await time.follow(ask);
  pass(5_000);
  const right = clocks.server;
  clocks.answerTakes = 400;
  // The server reads its clock early, and its answer is long under way.
  const early = async () => {
    const ms = clocks.server;
    pass(clocks.answerTakes);
    return { ms, wrongByMs: 0 };
  };
  await time.follow(early);
  expect(time.nowMs()).toBe(right + 400);
  clocks.server += HOUR_MS;
  await time.follow(ask);
  expect(time.nowMs()).toBe(clocks.server);
  await time.close();
});

test("who is never told the time says so, and goes by the machine's until then", async () => {
  const { clocks, time } = twoClocks();
  clocks.monotonic += 5;
  await expect(time.follow(() => Promise.reject(new Error("away")))).rejects.toThrow("away");
  expect([time.nowMs(), time.skewMs()]).toEqual([5, undefined]);
  await time.close();
});
