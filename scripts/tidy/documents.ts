// What documents say of the tree is true of it.
import { type File, type Finding, lineOf, resolve } from "./source.ts";

/** Links and paths in documents name things that are there, and `bun run` names scripts that exist. */
export function documents(file: File, paths: string[], scripts: string[]): Finding[] {
  if (!file.path.endsWith(".md")) return [];
  const known = new Set(paths.flatMap((path) => [path, ...foldersOf(path)]));
  const tops = new Set(paths.map((path) => path.split("/")[0] ?? ""));
  const finding = (index: number, says: string) => [{ path: file.path, line: lineOf(file.text, index), says }];
  const links = Array.from(file.text.matchAll(/\]\(([^)\s#]+)(?:#[^)\s]*)?\)/g)).flatMap((match) => {
    const to = match[1] ?? "";
    if (/^[a-z]+:/.test(to)) return [];
    const target = resolve(file.path, to.startsWith(".") ? to : `./${to}`);
    return known.has(target) ? [] : finding(match.index, `links to ${to}, which does not exist`);
  });
  const names = Array.from(file.text.matchAll(/`([\w.@-]+(?:\/[\w.@-]+)+\/?)(?::\d+)?`/g)).flatMap((match) => {
    const to = (match[1] ?? "").replace(/\/$/, "");
    if (!tops.has(to.split("/")[0] ?? "") || to.startsWith("packages/api/gen")) return [];
    return known.has(to) ? [] : finding(match.index, `names ${to}, which does not exist`);
  });
  const runs = Array.from(file.text.matchAll(/\bbun run ([\w:-]+)(?![\w./:-])/g)).flatMap((match) =>
    scripts.includes(match[1] ?? "") ? [] : finding(match.index, `says bun run ${match[1]}, which is no script`),
  );
  return [...links, ...names, ...runs];
}

function foldersOf(path: string): string[] {
  const parts = path.split("/");
  return parts.slice(1).map((_, i) => parts.slice(0, i + 1).join("/"));
}

const DECISION = /^docs\/decisions\/([^/]*)$/;

/** Every decision has a number of its own, which its heading repeats, so that a number names one. */
export function decisions(files: File[]): Finding[] {
  const records = files.filter(({ path }) => DECISION.test(path));
  const numberOf = ({ path }: File) => /^docs\/decisions\/(\d{4})-[a-z\d-]+\.md$/.exec(path)?.[1];
  const finding = ({ path }: File, says: string) => [{ path, line: 1, says }];
  return records.flatMap((record) => {
    const number = numberOf(record);
    if (number === undefined) return finding(record, "is not named NNNN-title.md");
    const first = records.find((other) => numberOf(other) === number);
    if (first && first !== record) return finding(record, `has the number of ${first.path}: take the next free one`);
    const heading = /^# (\d{4})\b/.exec(record.text)?.[1];
    return heading === number ? [] : finding(record, `expected a heading "# ${number}", found ${heading ?? "none"}`);
  });
}
