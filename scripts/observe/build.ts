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

/** Builds what is not there yet. */
export async function buildAll(say: (line: string) => void): Promise<Binaries> {
  const binaries: Binaries = {};
  for (const built of BUILT) binaries[built.name] = await build(built, say);
  return binaries;
}

/** Where the program is, or will be: another place when its sources are others. */
function binaryOf({ name }: Built): string {
  const hash = createHash("sha256");
  for (const file of readdirSync(join(SOURCES, name)).toSorted())
    hash.update(file).update(readFileSync(join(SOURCES, name, file)));
  return join(cacheFolder(), `${name}-${hash.digest("hex").slice(0, 12)}`, name);
}

async function build(built: Built, say: (line: string) => void): Promise<string> {
  const binary = binaryOf(built);
  if (existsSync(binary)) return binary;
  const go = find("go");
  if (!go) throw new Error(`${built.name} is built with Go 1.26, which is not installed (go.dev/dl)`);
  say(`building ${built.name} with Go: some minutes, once`);
  const folder = join(binary, "..");
  const work = `${folder}.${process.pid}`;
  mkdirSync(work, { recursive: true });
  try {
    cpSync(join(SOURCES, built.name), work, { recursive: true });
    const tags = built.tags ? ["-tags", built.tags] : [];
    await must([go, "build", ...FLAGS, ...tags, "-o", built.name, built.program], { cwd: work });
    rmSync(folder, { recursive: true, force: true });
    renameSync(work, folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return binary;
}
