import type { Jobs } from "./jobs.ts";

const SLOT_MS = 1_000;
/** Sooner than this is left to those who look by themselves, as is what is due after more than a day. */
const WAKE_MS_MIN = 2 * SLOT_MS;
const WAKE_MS_MAX = 86_400_000;
const SLOTS_KEPT_MIN = 1_024;

/**
 * Spares most wake-ups: one at the beginning of a second serves all who want to be woken within it, for they look then and see when they are due.
 * So there is at most one a second for each queue, however many jobs wait.
 */
export function onceASecond(nowMs: () => number, send: (queue: string, ms: number) => void): Jobs["wakeLater"] {
  const sent = new Map<string, { slots: Set<number>; fullAt: number }>();
  return (queue, ms) => {
    if (!(ms >= WAKE_MS_MIN && ms <= WAKE_MS_MAX)) return;
    const now = nowMs();
    const slot = Math.floor((now + ms) / SLOT_MS);
    const kept = sent.get(queue) ?? { slots: new Set<number>(), fullAt: SLOTS_KEPT_MIN };
    sent.set(queue, kept);
    if (kept.slots.has(slot)) return;
    if (kept.slots.size >= kept.fullAt) {
      for (const old of kept.slots) if (old * SLOT_MS < now) kept.slots.delete(old);
      kept.fullAt = Math.max(SLOTS_KEPT_MIN, kept.slots.size * 2);
    }
    kept.slots.add(slot);
    send(queue, slot * SLOT_MS - now);
  };
}
