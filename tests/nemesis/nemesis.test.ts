// The short form of `bun run nemesis`, on one node of each server. CHAOS_SEED repeats a run.
import { expect, test } from "bun:test";
import { BASE_PORT } from "../../scripts/servers/ports.ts";
import { absent } from "../absent.ts";
import { SEED } from "../chaos/dice.ts";
import { KINDS, runNemesis } from "./nemesis.ts";

const TEST_MS_MAX = 900_000;

const BECAUSE = absent(KINDS);

test.skipIf(BECAUSE !== undefined)(
  `after every fault of a cluster nothing is lost, doubled or forgotten${BECAUSE ? ` (${BECAUSE})` : ""}`,
  async () => {
    const until = (done: number, kinds: number) => done >= kinds;
    const { findings, state } = await runNemesis({ seed: SEED, size: 1, until, basePort: BASE_PORT + 500 });
    expect(findings.filter(({ found }) => found.length > 0)).toEqual([]);
    expect(state.acknowledged.length).toBeGreaterThan(100);
  },
  TEST_MS_MAX,
);
