// stripe-mock: knows Stripe's API from its description and nothing of what it was told before. Built from its Go module, which pins itself.
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder, must } from "../command.ts";
import { find } from "./find.ts";

const VERSION = "0.203.0";
const FOLDER = join(cacheFolder(), `stripe-mock-${VERSION}`);
const BINARY = join(FOLDER, "stripe-mock");

/** Why it cannot be had here; undefined when it can. */
export function stripeMockAbsent(): string | undefined {
  return existsSync(BINARY) || find("go")
    ? undefined
    : "stripe-mock is built with Go, which is not installed (go.dev/dl)";
}

/** The path of the program, built at the first call. */
export async function buildStripeMock(): Promise<string> {
  if (existsSync(BINARY)) return BINARY;
  const work = `${FOLDER}.${process.pid}`;
  mkdirSync(work, { recursive: true });
  try {
    const install = [find("go") ?? "go", "install", "-trimpath", "-ldflags=-s -w"];
    await must([...install, `github.com/stripe/stripe-mock@v${VERSION}`], { env: { GOBIN: work } });
    rmSync(FOLDER, { recursive: true, force: true });
    renameSync(work, FOLDER);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return BINARY;
}
