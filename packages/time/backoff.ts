/** How long to wait before trying again: a little at first, twice as long each time, up to a most. */
export interface Pace {
  firstMs: number;
  mostMs: number;
}

/** For a carrier or a database that is away: soon at first, since it may only have restarted. */
export const SOON: Pace = { firstMs: 100, mostMs: 5_000 };

/**
 * The pause after so many failures in a row, 1 at the first. Half of it is chance, so that those who failed together do not come back together.
 * `chance` is from 0 up to 1.
 */
export function backoffMs(failures: number, { firstMs, mostMs }: Pace, chance = Math.random()): number {
  const whole = Math.min(firstMs * 2 ** (failures - 1), mostMs);
  return (whole * (1 + chance)) / 2;
}
