import { expect, test } from "bun:test";
import { createDice } from "../chaos/dice.ts";
import { type Fault, strike } from "./faults.ts";

test("all faults strike before one strikes again, two of one group never at once, and each is healed", async () => {
  const struck = new Set<string>();
  const met: string[] = [];
  let twoAtOnce = 0;
  const faults = ["a-1", "a-2", "b-1", "c-1", "d-1"].map((name): Fault => {
    const group = name.slice(0, 1);
    return {
      name,
      group,
      strike() {
        if ([...struck].some((other) => other.startsWith(group))) throw new Error(`${name} strikes beside its group`);
        if (struck.size > 0) twoAtOnce += 1;
        struck.add(name);
        met.push(name);
      },
      async heal() {
        if ([...struck].some((other) => other > name)) throw new Error(`${name} is healed before what it may stand on`);
        struck.delete(name);
      },
    };
  });
  const { counts, outages } = await strike(
    faults,
    createDice(7),
    (done) => done >= 50,
    () => {},
    async () => {},
  );
  expect(struck.size).toBe(0);
  expect(twoAtOnce).toBeGreaterThan(0);
  expect(outages.length).toBe(met.length - twoAtOnce);
  for (let at = 0; at + 5 <= 50; at += 5) expect(new Set(met.slice(at, at + 5)).size).toBe(5);
  expect(Object.values(counts).reduce((sum, count) => sum + count, 0)).toBe(met.length);
});
