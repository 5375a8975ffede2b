// The programs that are not in any package: built once from Go modules that are committed, kept by what they were built from.
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder, must } from "../command.ts";
import { find } from "../servers/find.ts";
import { ROOT } from "../tree.ts";

const SOURCES = join(ROOT, "observability", "build");
const FLAGS = ["-mod=mod", "-trimpath", "-ldflags=-s -w"];

/** A folder of SOURCES, and of it, or of a module that it pins, the program. */
interface Built {
  name: string;
  program: string;
  tags?: string;
}

const BUILT: Built[] = [
  { name: "collector", program: "." },
  // What parquet does in assembly does not link with a Go of today.
  { name: "tempo", program: ".", tags: "purego" },
  { name: "loki", program: "github.com/grafana/loki/v3/cmd/loki" },
  { name: "alertmanager", program: "github.com/prometheus/alertmanager/cmd/alertmanager" },
];

/** Paths by name. */
export type Binaries = Record<string, string>;

/** Builds what is not there yet, of these or of all. */
export async function buildAll(say: (line: string) => void, only?: string[]): Promise<Binaries> {
  const binaries: Binaries = {};
  for (const built of wanted(only)) binaries[built.name] = await build(built, say);
  return binaries;
}

/** The same for whoever can do without some: gives the reason of each that cannot be had within so many seconds, which are for all of them. */
export async function buildWhatCan(
  say: (line: string) => void,
  secondsMax: number,
  only?: string[],
): Promise<Record<string, string>> {
  const missing: Record<string, string> = {};
  const end = performance.now() + secondsMax * 1_000;
  for (const built of wanted(only)) {
    const secondsLeft = Math.max(1, Math.floor((end - performance.now()) / 1_000));
    await build(built, say, secondsLeft).catch((error: unknown) => {
      missing[built.name] = `it could not be built: ${error instanceof Error ? error.message : String(error)}`;
    });
  }
  return missing;
}

function wanted(only?: string[]): Built[] {
  return BUILT.filter(({ name }) => !only || only.includes(name));
}

/** Where the program is, or will be: another place when its sources are others. */
function binaryOf({ name }: Built): string {
  const hash = createHash("sha256");
  for (const file of readdirSync(join(SOURCES, name)).toSorted())
    hash.update(file).update(readFileSync(join(SOURCES, name, file)));
  return join(cacheFolder(), `${name}-${hash.digest("hex").slice(0, 12)}`, name);
}

async function build(built: Built, say: (line: string) => void, secondsMax?: number): Promise<string> {
  const binary = binaryOf(built);
  if (existsSync(binary)) return binary;
  const go = find("go");
  if (!go) throw new Error(`${built.name} is built with Go 1.26, which is not installed (go.dev/dl)`);
  say(`building ${built.name} with Go: some minutes, once`);
  const folder = join(binary, "..");
  const work = `${folder}.${process.pid}`;
  mkdirSync(work, { recursive: true });
  const began = performance.now();
  try {
    cpSync(join(SOURCES, built.name), work, { recursive: true });
    const tags = built.tags ? ["-tags", built.tags] : [];
    const limit = secondsMax ? ["timeout", "-k", "10", String(secondsMax)] : [];
    await must([...limit, go, "build", ...FLAGS, ...tags, "-o", built.name, built.program], { cwd: work });
    rmSync(folder, { recursive: true, force: true });
    renameSync(work, folder);
    say(`built ${built.name} in ${Math.round((performance.now() - began) / 1_000)} s`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return binary;
}
