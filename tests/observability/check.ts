// What is asked, until it is so or patience ends; each is counted.
const PATIENCE_MS = 120_000;
const LOOK_MS = 500;

/** undefined when it is so, else what is wrong, in a sentence. */
export type Look = () => Promise<string | undefined>;

export interface Checks {
  /** Programs that cannot be had, with the reason of each. */
  missing: Record<string, string>;
  /** `needs` names programs; without one of them it is skipped. */
  check(what: string, look: Look, needs?: string[]): Promise<void>;
  /** The same of what cannot become so by waiting: it is looked at once. */
  checkNow(what: string, look: Look, needs?: string[]): Promise<void>;
  /** What is not asked at all, and why. */
  skip(what: string, why: string): void;
  counts(): { passed: number; failed: number; skipped: number };
}

export const say = (line: string) => void process.stdout.write(`${line}\n`);

export const unless = (holds: boolean, otherwise: () => string) => (holds ? undefined : otherwise());

export function createChecks(missing: Record<string, string> = {}): Checks {
  let passed = 0;
  let failed = 0;
  let skipped = 0;
  function skip(what: string, why: string) {
    skipped += 1;
    say(`skipped ${what}: ${why}`);
  }
  return {
    missing,
    skip,
    check: (what, look, needs) => count(what, () => wrongAfter(look), needs),
    checkNow: (what, look, needs) => count(what, look, needs),
    counts: () => ({ passed, failed, skipped }),
  };
  async function count(what: string, ask: Look, needs: string[] = []) {
    const [without] = needs.filter((name) => missing[name]);
    if (without) return skip(what, `without ${without}, as ${missing[without]}`);
    const wrong = await ask().catch((error: unknown) => String(error));
    if (wrong === undefined) passed += 1;
    else failed += 1;
    say(`${wrong === undefined ? "ok    " : "FAILED"} ${what}${wrong === undefined ? "" : `: ${wrong}`}`);
  }
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
