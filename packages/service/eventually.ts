import { sleep } from "./clock.ts";

const LOOK_MS = 5;
const GIVE_UP_MS = 20_000;

/** For tests: resolves when `condition` holds; rejects when it has not for 20 s. */
export async function eventually(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let waited = 0; waited < GIVE_UP_MS; waited += LOOK_MS) {
    if (await condition()) return;
    await sleep(LOOK_MS);
  }
  throw new Error(`still not so after ${GIVE_UP_MS} ms: ${condition}`);
}
