// k6, the load generator of seed 0's own test. Built from its Go module, which pins itself.
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder, must } from "../command.ts";
import { find } from "./find.ts";

const VERSION = "1.8.1";
const FOLDER = join(cacheFolder(), `k6-${VERSION}`);
const BINARY = join(FOLDER, "k6");

/** Why it cannot be had here; undefined when it can. */
export function k6Absent(): string | undefined {
  return existsSync(BINARY) || find("go") ? undefined : "k6 is built with Go, which is not installed (go.dev/dl)";
}

/** The path of the program, built at the first call: about two minutes, beside what else runs. */
export async function buildK6(): Promise<string> {
  if (existsSync(BINARY)) return BINARY;
  const work = `${FOLDER}.${process.pid}`;
  mkdirSync(work, { recursive: true });
  try {
    const install = [find("go") ?? "go", "install", "-trimpath", "-ldflags=-s -w"];
    await must(["nice", ...install, `go.k6.io/k6@v${VERSION}`], { env: { GOBIN: work } });
    rmSync(FOLDER, { recursive: true, force: true });
    renameSync(work, FOLDER);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return BINARY;
}
