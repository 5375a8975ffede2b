// What is done about a test that fails when many run side by side: it is asked once more, alone, and said to be unsteady. Decision 0045 says why.
import type { Batch } from "./lanes.ts";

/** They count what was lost, doubled or forgotten. Once is too often. */
const ONCE = /^tests\/(apart|chaos|museum|nemesis|seeds|stories)\//;
/** That more than these fail by chance, nobody believes. */
const BATCHES_MAX = 3;

/** The outcomes that count, and the first ones of batches that failed and then held. */
export async function askAgain(
  first: Batch[],
  run: (batches: string[][]) => Promise<Batch[]>,
): Promise<{ done: Batch[]; unsteady: Batch[] }> {
  const failed = first.filter(({ counts }) => counts.failed > 0);
  const asked = failed.length > BATCHES_MAX ? [] : failed.filter(({ files }) => !files.some((file) => ONCE.test(file)));
  const second = asked.length > 0 ? await run(asked.map(({ files }) => files)) : [];
  const held = new Map(second.filter(({ counts }) => counts.failed === 0).map((batch) => [batch.files.join(), batch]));
  return {
    done: first.map((batch) => held.get(batch.files.join()) ?? batch),
    unsteady: asked.filter(({ files }) => held.has(files.join())),
  };
}
