import { expect, test } from "bun:test";
import { createBreaker } from "./breaker.ts";

function world() {
  const state = { now: 0, asked: 0, broken: true };
  const breaker = createBreaker(() => state.now, 500);
  const ask = () =>
    breaker(async () => {
      state.asked += 1;
      if (state.broken) throw new Error(`failure ${state.asked}`);
      return "answer";
    });
  return { state, breaker, ask };
}

test("after a failure nobody is asked for its rest, and all hear why", async () => {
  const { state, ask } = world();
  await expect(ask()).rejects.toThrow("failure 1");
  state.now = 499;
  state.broken = false;
  for (let i = 0; i < 5; i++) await expect(ask()).rejects.toThrow("failure 1");
  expect(state.asked).toBe(1);
});

test("after its rest one call tries while the others are still refused; its answer ends the outage", async () => {
  const { state, breaker, ask } = world();
  await expect(ask()).rejects.toThrow();
  state.now = 500;
  state.broken = false;
  const trying = Promise.withResolvers<string>();
  const first = breaker(() => trying.promise);
  await expect(ask()).rejects.toThrow("failure 1");
  expect(state.asked).toBe(1);
  trying.resolve("first");
  expect(await first).toBe("first");
  expect(await ask()).toBe("answer");
});

test("a try that fails begins another rest", async () => {
  const { state, ask } = world();
  await expect(ask()).rejects.toThrow("failure 1");
  state.now = 500;
  await expect(ask()).rejects.toThrow("failure 2");
  state.now = 999;
  await expect(ask()).rejects.toThrow("failure 2");
  expect(state.asked).toBe(2);
  state.now = 1_000;
  await expect(ask()).rejects.toThrow("failure 3");
});
