import { sleep } from "../../packages/time/wait.ts";

const LOOK_MS = 5;
/** A busy machine takes its time; a test has a minute. */
const GIVE_UP_MS = 45_000;

/** For tests: resolves when `condition` holds; rejects when it has not for 45 s. */
export async function eventually(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let waited = 0; waited < GIVE_UP_MS; waited += LOOK_MS) {
    if (await condition()) return;
    await sleep(LOOK_MS);
  }
  throw new Error(`still not so after ${GIVE_UP_MS} ms: ${condition}`);
}
