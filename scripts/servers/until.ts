import { setTimeout as sleep } from "node:timers/promises";

const POLL_MS = 100;
/** A busy machine with two cores starts three of everything at a time. */
const PATIENCE_MS = 180_000;

/** Looks until it is so. `giveUp` may throw when it cannot become so any more. */
export async function until(what: string, isSo: () => Promise<boolean>, giveUp?: () => void): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await isSo())) {
    giveUp?.();
    if (performance.now() > deadline) throw new Error(`waited ${PATIENCE_MS / 1000} s in vain until ${what}`);
    await sleep(POLL_MS);
  }
}
