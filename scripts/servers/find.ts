import { globSync } from "node:fs";

/** Where packages put servers, which an ordinary user's PATH often leaves out. */
const BESIDES_PATH = ["/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin", "/opt/homebrew/sbin"];

/** The path of a program, or undefined. */
export function find(program: string): string | undefined {
  const path = [process.env["PATH"] ?? "", ...BESIDES_PATH].join(":");
  return Bun.which(program, { PATH: path }) ?? undefined;
}

/** The first of these patterns that some file matches. */
export function findFile(...patterns: string[]): string | undefined {
  return patterns.flatMap((pattern) => globSync(pattern).toSorted())[0];
}
