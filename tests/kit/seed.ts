/** The chance of this run of tests: CHAOS_SEED repeats another's. `bun run test` gives all its processes the same, so that who is asked again is asked the same. */
export const SEED = Number(process.env["CHAOS_SEED"] ?? crypto.getRandomValues(new Uint32Array(1))[0]);
