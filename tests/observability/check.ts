// What is asked, until it is so or patience ends; each is counted.
const PATIENCE_MS = 120_000;
const LOOK_MS = 500;

/** undefined when it is so, else what is wrong, in a sentence. */
export type Look = () => Promise<string | undefined>;

export interface Checks {
  check(what: string, look: Look): Promise<void>;
  counts(): { passed: number; failed: number; skipped: number };
}

export const say = (line: string) => void process.stdout.write(`${line}\n`);

export const unless = (holds: boolean, otherwise: () => string) => (holds ? undefined : otherwise());

export function createChecks(): Checks {
  let passed = 0;
  let failed = 0;
  return {
    async check(what, look) {
      const wrong = await wrongAfter(look);
      if (wrong === undefined) passed += 1;
      else failed += 1;
      say(`${wrong === undefined ? "ok    " : "FAILED"} ${what}${wrong === undefined ? "" : `: ${wrong}`}`);
    },
    counts: () => ({ passed, failed, skipped: 0 }),
  };
}

/** Throws what is still wrong when patience has ended: what comes next makes no sense without it. */
export async function until(what: string, look: Look): Promise<void> {
  const wrong = await wrongAfter(look);
  if (wrong !== undefined) throw new Error(`waited in vain until ${what}: ${wrong}`);
}

async function wrongAfter(look: Look): Promise<string | undefined> {
  const began = performance.now();
  for (;;) {
    const wrong = await look().catch((error: unknown) => String(error));
    if (wrong === undefined || performance.now() - began > PATIENCE_MS) return wrong;
    await Bun.sleep(LOOK_MS);
  }
}
