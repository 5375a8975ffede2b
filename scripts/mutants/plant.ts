// One mutant: planted in a copy of the tree, its tests run, and taken out again.
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { ENV } from "../command.ts";
import { TIMEOUT } from "../test/lanes.ts";
import { paths, ROOT } from "../tree.ts";
import type { Mutant } from "./mutant.ts";

export interface Verdict {
  word: "caught" | "SURVIVED" | "BROKEN";
  /** The first test that failed, or what is wrong with the mutant. */
  because: string;
}

const SECONDS_MAX = 240;

/** The files as they are now, committed or not, with the packages of the checkout. */
export function copyTree(): { folder: string; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), "bodega-mutants-"));
  for (const path of paths()) {
    mkdirSync(join(folder, dirname(path)), { recursive: true });
    cpSync(join(ROOT, path), join(folder, path));
  }
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

export async function verdictOn(mutant: Mutant, folder: string, env: Record<string, string>): Promise<Verdict> {
  const file = Bun.file(join(folder, mutant.file));
  const text = (await file.exists()) ? await file.text() : "";
  const times = text.split(mutant.find).length - 1;
  if (times !== 1)
    return { word: "BROKEN", because: `expected its text once in ${mutant.file}, found it ${times} times` };
  await Bun.write(
    file,
    text.replace(mutant.find, () => mutant.replace),
  );
  try {
    return await runTestsOf(mutant, folder, env);
  } finally {
    await Bun.write(file, text);
  }
}

async function runTestsOf({ tests }: Mutant, folder: string, env: Record<string, string>): Promise<Verdict> {
  for (const test of tests) {
    const [path = "", name] = test.split("::");
    const chosen = name ? ["-t", name] : [];
    const child = Bun.spawn(
      ["sh", "-c", 'exec "$0" test "$@" 2>&1', process.execPath, TIMEOUT, "--bail", ...chosen, `./${path}`],
      {
        cwd: folder,
        env: { ...ENV, ...env },
        stdio: ["ignore", "pipe", "inherit"],
        timeout: SECONDS_MAX * 1_000,
        killSignal: "SIGKILL",
      },
    );
    const [said, code] = await Promise.all([child.stdout.text(), child.exited]);
    if (child.signalCode) return { word: "caught", because: `${path} did not end` };
    const failed = /^\(fail\) (.*?)(?: \[[\d.]+m?s\])?$/m.exec(said)?.[1];
    if (failed) return { word: "caught", because: failed };
    // A mutant that does not load, or tests that are not there, prove nothing.
    if (code !== 0 || !/^ +[1-9]\d* pass$/m.test(said))
      return { word: "BROKEN", because: `${test} did not run:\n${said.slice(-1_500)}` };
  }
  return { word: "SURVIVED", because: `not noticed by ${tests.join(", ")}` };
}
