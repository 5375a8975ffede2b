/** What was found of a part. */
export interface Finding {
  /** Where one check finds out about several. */
  part?: string;
  good: boolean;
  found: string;
  /** What of it is not good, each a line. */
  says?: string[];
  /** What to do about it; empty when it is good. */
  fix: string;
  /** For programs. */
  figures?: Record<string, unknown>;
}

export const good = (found: string): Finding => ({ good: true, found, fix: "" });
export const bad = (found: string, fix: string): Finding => ({ good: false, found, fix });
