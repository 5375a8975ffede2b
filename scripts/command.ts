// Running other programs from our scripts: from the root, with the project's own binaries first, and never waiting for input.
import { join } from "node:path";
import { ROOT } from "./tree.ts";

export type Outcome = { code: number; output: string };
export type Counts = { passed: number; failed: number; skipped: number };

export const ENV = { ...process.env, PATH: `${join(ROOT, "node_modules", ".bin")}:${process.env["PATH"] ?? ""}` };

/** Runs to the end and keeps what it said. A program that is not there is an Error, not an outcome. */
export async function run(
  command: string[],
  options: { cwd?: string; env?: Record<string, string> } = {},
): Promise<Outcome> {
  const child = Bun.spawn(command, {
    cwd: options.cwd ?? ROOT,
    env: { ...ENV, ...options.env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { code, output: out + err };
}

/** Like run, but anything else than success is an Error that carries the output. */
export async function must(
  command: string[],
  options: { cwd?: string; env?: Record<string, string> } = {},
): Promise<string> {
  const { code, output } = await run(command, options);
  if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code}:\n${output}`);
  return output;
}

/** Where downloads and builds are kept between runs: outside the checkout, so that a clean clone stays clean. */
export function cacheFolder(): string {
  return join(process.env["XDG_CACHE_HOME"] || join(process.env["HOME"] ?? "/tmp", ".cache"), "bodega");
}

/** The last line of every script that counts; .ci/run adds these lines up. */
export function summary({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
}
