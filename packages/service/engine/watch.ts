import { sleep } from "../../time/wait.ts";
import type { Watchers } from "../app.ts";

/** Streams look again after this long even if nobody told them: the change may have been made by another process. */
const LOOK_MS = 1_000;

export function createWatchers(): Watchers {
  const waiting = new Map<string, Set<AbortController>>();
  return {
    changed(key) {
      const sleepers = waiting.get(key);
      waiting.delete(key);
      for (const sleeper of sleepers ?? []) sleeper.abort();
    },
    async next(key, signal) {
      const sleepers = waiting.get(key) ?? new Set();
      waiting.set(key, sleepers);
      const sleeper = new AbortController();
      sleepers.add(sleeper);
      await sleep(LOOK_MS, AbortSignal.any([sleeper.signal, signal]));
      sleepers.delete(sleeper);
      if (sleepers.size === 0 && waiting.get(key) === sleepers) waiting.delete(key);
    },
  };
}
