import { sleep, unlessLate } from "./wait.ts";

/** Somebody else's real time, and how wrong that may be. */
export interface Told {
  ms: number;
  wrongByMs: number;
}

/**
 * Real time as another tells it: PostgreSQL, whose clock decides. Between two answers a monotonic clock carries it on, so that this machine's own clock may be
 * wrong, or be set, and changes nothing. Before the first answer it is this machine's.
 */
export interface FollowedTime {
  nowMs(): number;
  /** How far this machine's clock is ahead; negative when it is behind, undefined before the first answer. */
  skewMs(): number | undefined;
  /**
   * Asks at once, then every now and then until `close`. Resolves with the first answer; rejects when there was none within `firstMsMax` (2 s), and soon
   * asks again.
   */
  follow(ask: () => Promise<Told>, firstMsMax?: number): Promise<void>;
  close(): Promise<void>;
}

const EVERY_MS = 5_000;
/** Before the first answer this machine's clock is believed: that is to be short. */
const SOON_MS = 250;
const ANSWER_MS_MAX = 2_000;
/** How far two good clocks come apart while one is not asked: 200 millionths. */
const DRIFT = 0.0002;

/** `looked` is told each skew that was found. */
export function createFollowedTime(
  looked: (skewMs: number) => void = () => {},
  { wallMs = () => Date.now(), monotonicMs = () => performance.now() } = {},
): FollowedTime {
  const stop = new AbortController();
  let base = { ms: wallMs(), at: monotonicMs(), wrongByMs: Number.POSITIVE_INFINITY };
  let skew: number | undefined;
  let following: Promise<void> | undefined;
  const nowMs = () => base.ms + (monotonicMs() - base.at);

  async function look(ask: () => Promise<Told>, msMax = ANSWER_MS_MAX): Promise<void> {
    const askedAt = monotonicMs();
    const told = await unlessLate(msMax, ask());
    if (!told) throw new Error(`the time was not told within ${msMax} ms`);
    const at = monotonicMs();
    // It was told somewhere between question and answer.
    const half = (at - askedAt) / 2;
    const next = { ms: told.ms + half, at, wrongByMs: half + told.wrongByMs };
    const staleBy = base.wrongByMs + (at - base.at) * DRIFT;
    const moved = Math.abs(next.ms - nowMs()) > next.wrongByMs + staleBy;
    // A slow answer tells less than an old one; but a clock over there that was set is followed.
    if (moved || next.wrongByMs <= staleBy) base = next;
    skew = wallMs() - nowMs();
    looked(skew);
  }

  async function goOn(ask: () => Promise<Told>) {
    while (!stop.signal.aborted) {
      await sleep(skew === undefined ? SOON_MS : EVERY_MS, stop.signal);
      // Who does not answer now is asked again: until then the monotonic clock goes on.
      if (!stop.signal.aborted) await Promise.allSettled([look(ask)]);
    }
  }

  return {
    nowMs,
    skewMs: () => skew,
    async follow(ask, firstMsMax) {
      const first = look(ask, firstMsMax);
      following ??= Promise.allSettled([first]).then(() => goOn(ask));
      await first;
    },
    async close() {
      stop.abort();
      await following;
    },
  };
}
