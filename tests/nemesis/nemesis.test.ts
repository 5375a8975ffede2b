// The short form of `bun run nemesis`, on one node of each server. CHAOS_SEED repeats a run.
import { expect, setDefaultTimeout } from "bun:test";
import { BASE_PORT } from "../../scripts/servers/ports.ts";
import { SEED } from "../kit/seed.ts";
import { absent } from "../kit/servers/absent.ts";
import { testUnless } from "../kit/test-unless.ts";
import { KINDS, runNemesis } from "./nemesis.ts";

setDefaultTimeout(900_000);

/** Of some hundred kinds, others at each run; all of them take `bun run nemesis` a quarter of an hour. */
const FAULTS = 30;

testUnless(absent(KINDS))("after faults of all sorts in a cluster nothing is lost, doubled or forgotten", async () => {
  const until = (done: number) => done >= FAULTS;
  const options = { seed: SEED, size: 1, replicas: 2, servers: true, until, basePort: BASE_PORT + 500 } as const;
  const { findings, state } = await runNemesis(options);
  expect(findings.filter(({ found }) => found.length > 0)).toEqual([]);
  expect(state.acknowledged.length).toBeGreaterThan(100);
});
