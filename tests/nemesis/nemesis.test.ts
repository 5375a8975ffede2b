// The short form of `bun run nemesis`, on one node of each server. CHAOS_SEED repeats a run.
import { expect, setDefaultTimeout } from "bun:test";
import { BASE_PORT } from "../../scripts/servers/ports.ts";
import { absent } from "../absent.ts";
import { SEED } from "../chaos/dice.ts";
import { testUnless } from "../test-unless.ts";
import { KINDS, runNemesis } from "./nemesis.ts";

setDefaultTimeout(900_000);

testUnless(absent(KINDS))("after every fault of a cluster nothing is lost, doubled or forgotten", async () => {
  const until = (done: number, kinds: number) => done >= kinds;
  const { findings, state } = await runNemesis({ seed: SEED, size: 1, until, basePort: BASE_PORT + 500 });
  expect(findings.filter(({ found }) => found.length > 0)).toEqual([]);
  expect(state.acknowledged.length).toBeGreaterThan(100);
});
