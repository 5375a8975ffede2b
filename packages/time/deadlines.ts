import { sleep } from "./wait.ts";

/** What may take no longer than a time that is the same for all of it. */
export interface Deadlines {
  /** Calls `end` when the time is over, unless the function it returns was called before. */
  begin(end: (ms: number) => void): () => void;
}

/** How often what is under way is looked at within its time. */
const LOOKS = 20;

/** One timer for all that is under way, because one each costs more than many a call does; it ticks only while there is something. */
export function createDeadlines(msMax: number): Deadlines {
  const underWay = new Set<{ looks: number; end: (ms: number) => void }>();
  let ticking = false;

  async function tick() {
    for (ticking = true; underWay.size > 0; ) {
      await sleep(msMax / LOOKS);
      for (const each of underWay) if (--each.looks <= 0 && underWay.delete(each)) each.end(msMax);
    }
    ticking = false;
  }

  return {
    begin(end) {
      const one = { looks: LOOKS + 1, end };
      underWay.add(one);
      if (!ticking) void tick();
      return () => underWay.delete(one);
    },
  };
}
