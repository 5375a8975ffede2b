/** A stack that takes longer to become something does not become it. */
export const READY_MS_MAX = 600_000;
const LOOK_MS = 500;

/** Looks until it is so; throws an Error with `unless` when it is not in time. */
export async function patiently(look: () => Promise<boolean>, unless: string): Promise<void> {
  for (const patience = AbortSignal.timeout(READY_MS_MAX); !(await look()); await Bun.sleep(LOOK_MS))
    if (patience.aborted) throw new Error(`${unless} after ${READY_MS_MAX / 1_000} s`);
}
