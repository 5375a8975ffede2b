// bun run advisories: whether a package of bun.lock is known to be at fault. Ends with 1 when one is; with 0, and a word of it, when nobody can be asked.
import { run } from "./command.ts";

export interface Verdict {
  code: 0 | 1;
  says: string;
}

if (import.meta.main) {
  const { code, says } = verdictOf(await run([process.execPath, "audit"]));
  console.log(says);
  process.exitCode = code;
}

/** What `bun audit` answered. Only a list of faults is one: without a network, and where a registry has no advisories, it ends with an error too. */
export function verdictOf({ code, output }: { code: number; output: string }): Verdict {
  if (code === 0) return { code: 0, says: output.trim() };
  if (/\d+ vulnerabilit(?:y|ies)/.test(output)) return { code: 1, says: output.trim() };
  return {
    code: 0,
    says: `NOT ASKED: the registry's advisories could not be had (${output.trim().split("\n").at(-1)})`,
  };
}
