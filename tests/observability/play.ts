// A part of what is asked, from its beginning to its end.
import type { Counts } from "../../scripts/command.ts";
import { type Checks, createChecks, say } from "./check.ts";

export type Part = (checks: Checks) => Promise<void>;

/** Alerts are about time, of which a machine that others use too may have too little for a moment: when something fails in this part, all of it is made once more. Decision 0045 says why. */
const ONCE_MORE = ["faults"];

/** What held only when it was made once more is named. */
export async function play(name: string, part: Part, missing: Record<string, string> = {}): Promise<Counts> {
  const first = await playOnce(name, part, missing);
  if (first.failures().length === 0 || !ONCE_MORE.includes(name)) return first.counts();
  say(`\n== ${name} once more`);
  const second = await playOnce(name, part, missing);
  if (second.failures().length === 0)
    say(`what failed at first, and held when all of it was made once more: ${first.failures().join("; ")}`);
  return second.counts();
}

async function playOnce(name: string, part: Part, missing: Record<string, string>): Promise<Checks> {
  const checks = createChecks(missing);
  await checks.checkNow(`${name} was played to its end`, async () => {
    await part(checks);
    return undefined;
  });
  return checks;
}
