// What bun test has said, read: how many passed, where one file ends and the next begins, and what is worth saying again at the end.
import type { Counts } from "../command.ts";

/**
 * The totals of Bun's closing summary; a file that crashed at import is one failure in it. Without a summary the run died:
 * the lines printed until then count, and the death is a failure. An exit code that no failure explains is one too.
 */
export function countsOf(said: string, code: number): Counts {
  const plain = withoutColours(said);
  const end = /((?:^ +\d+ \w+.*\n)+)^Ran \d+ tests? across \d+ files?/m.exec(plain)?.[1];
  const total = (word: string) => Number(new RegExp(`^ +(\\d+) ${word}$`, "m").exec(end ?? "")?.[1] ?? 0);
  const lines = (word: string) => plain.match(new RegExp(`^\\(${word}\\) `, "gm"))?.length ?? 0;
  const counts =
    end === undefined
      ? { passed: lines("pass"), failed: lines("fail") + 1, skipped: lines("skip") + lines("todo") }
      : { passed: total("pass"), failed: total("fail"), skipped: total("skip") + total("todo") };
  return { ...counts, failed: code !== 0 ? Math.max(1, counts.failed) : counts.failed };
}

export function sumOf(all: Counts[]): Counts {
  const sum = (word: keyof Counts) => all.reduce((total, counts) => total + counts[word], 0);
  return { passed: sum("passed"), failed: sum("failed"), skipped: sum("skipped") };
}

/** Without Bun's first line and its closing summary: the files with their tests. */
export function bodyOf(said: string): string {
  const lines = said.split("\n");
  const plain = withoutColours(said).split("\n");
  let end = plain.findLastIndex((line) => /^Ran \d+ tests? across/.test(line));
  if (end < 0) end = lines.length;
  const back = (pattern: RegExp, from: number) => {
    let at = from;
    while (at > 0 && pattern.test(plain[at - 1] ?? "")) at -= 1;
    return at;
  };
  end = back(/^( +\d+ .*)?$/, end);
  // Bun lists again what failed and what was skipped.
  for (;;) {
    const list = back(/^\((?:skip|todo|fail)\) /, end);
    if (!/^\d+ tests? \w+:$/.test(plain[list - 1] ?? "")) break;
    end = back(/^$/, list - 1);
  }
  const start = plain.findIndex((line) => /^bun test v/.test(line)) + 1;
  return lines.slice(start, end).join("\n").trim();
}

/** Every failure with what was said about it and the file it is in. `body` is what bodyOf gives. */
export function failuresIn(body: string): string[] {
  const lines = body.split("\n");
  const plain = withoutColours(body).split("\n");
  const found: string[] = [];
  let file = "";
  let from = 0;
  for (const [at, line] of plain.entries()) {
    const header = /^\S+\.test\.tsx?:$/.test(line);
    if (header) file = line;
    const failed = /^\(fail\) /.test(line);
    const thrown = /^# Unhandled error/.test(line);
    if (thrown) from = at;
    const ended = /^-{5,}$/.test(line) && /^# Unhandled error/.test(plain[from] ?? "") && at > from + 1;
    if (failed || ended) found.push([file, ...lines.slice(from, at + 1)].join("\n").trim());
    if (header || failed || ended || /^\((?:pass|skip|todo)\) /.test(line)) from = at + 1;
  }
  return found;
}

/** Why tests were skipped, and how many for each reason. */
export function skippedIn(body: string): string[] {
  const reasons = new Map<string, number>();
  for (const [, title = ""] of withoutColours(body).matchAll(/^\((?:skip|todo)\) (.*)$/gm)) {
    const reason = /\(([^()]*)\)$/.exec(title)?.[1] ?? title;
    reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  }
  return Array.from(reasons, ([reason, count]) => `${count} skipped: ${reason}`);
}

export function withoutColours(said: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colour codes begin with one
  return said.replace(/\u001b\[[0-9;]*m/g, "");
}
