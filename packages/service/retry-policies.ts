import type { Pace } from "../time/backoff.ts";

/**
 * What went wrong, as far as it says what to do:
 *   away     the outside, or a part of the platform, cannot be reached: it will be back
 *   early    what it is about is not there yet, or not so far
 *   unknown  it may have happened or not: each further try may be one too many
 *   slow     alone it takes longer than a statement may: the database has too much to do, or this never ends
 *   bug      anything else
 * What can never succeed (INVALID_ARGUMENT, what cannot be decoded) is given up at once.
 */
export type Trouble = "away" | "early" | "unknown" | "slow" | "bug";

export interface Retries {
  /** Real time, whatever the scale of business time. */
  pace: Pace;
  /** Given up after so many failures of this kind in a row, or so long after the first of them. */
  until: { tries: number } | { ms: number };
}

/** How often and how long something is tried that failed. What is given up is parked, and can be tried again from there. */
export type Policy = Record<Trouble, Retries>;

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** The default. After an outage everything goes on within a minute. */
export const STANDARD: Policy = {
  away: { pace: { firstMs: SECOND, mostMs: 45 * SECOND }, until: { ms: 2 * DAY } },
  early: { pace: { firstMs: SECOND / 5, mostMs: MINUTE }, until: { ms: HOUR } },
  unknown: { pace: { firstMs: 10 * MINUTE, mostMs: 8 * HOUR }, until: { tries: 6 } },
  slow: { pace: { firstMs: 5 * SECOND, mostMs: 2 * MINUTE }, until: { ms: HOUR } },
  bug: { pace: { firstMs: SECOND, mostMs: 30 * SECOND }, until: { tries: 5 } },
};

/** For an effect that the other side tells apart by its id: one too many does no harm, so it need not be seldom. */
export const HARMLESS_TO_REPEAT: Policy = { ...STANDARD, unknown: STANDARD.away };
