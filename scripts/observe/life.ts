// Started and ended together; what runs is written down, so that another command finds it.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isAlive, kill, launch, memoryOf, send } from "../servers/processes.ts";
import type { Identity } from "../servers/server.ts";
import { buildAll } from "./build.ts";
import { type Place, PROMETHEUS, type Program, programsIn } from "./programs.ts";

const READY_MS_MAX = 60_000;
const LOOK_MS = 100;

interface Running {
  name: string;
  identity: Identity;
}

/** Builds what is not built yet, starts what is not running, and waits until all of it answers. */
export async function up(place: Place, say: (line: string) => void): Promise<void> {
  const { folder, only } = place;
  if (!PROMETHEUS.found()) throw new Error("Prometheus is not installed: bun run observe install");
  const binaries = await buildAll(say, only);
  const programs = programsIn(place, binaries).filter(({ name }) => !only || only.includes(name));
  const running = kept(folder).filter(({ identity }) => isAlive(identity));
  for (const program of programs) {
    if (running.some(({ name }) => name === program.name)) continue;
    const identity = launch(program, folder, join(folder, `${program.name}.log`));
    running.push({ name: program.name, identity });
    keep(folder, running);
  }
  for (const program of programs) await ready(folder, program, running);
}

/** Has a Prometheus that runs read its configuration anew. */
export function scrapeAnew(place: Place): void {
  programsIn(place, {});
  signal(place.folder, "prometheus", "SIGHUP");
}

/** To one of them, if it runs. */
export function signal(folder: string, program: string, what: NodeJS.Signals): void {
  for (const { name, identity } of kept(folder)) if (name === program) send(identity, what);
}

/** Ends them, by force: what they keep is not worth the half minute that Tempo takes, and goes with them. */
export async function down(folder: string): Promise<void> {
  await Promise.all(kept(folder).map(({ identity }) => kill(identity)));
  rmSync(folder, { recursive: true, force: true });
}

/** One line for each: whether it runs, and in how much memory. */
export function status(folder: string): string[] {
  return kept(folder).map(({ name, identity }) =>
    isAlive(identity) ? `${name.padEnd(12)} runs, ${memoryOf(identity)} MB` : `${name.padEnd(12)} has ended`,
  );
}

async function ready(folder: string, { name, ready: url }: Program, running: Running[]): Promise<void> {
  const identity = running.find((each) => each.name === name)?.identity;
  for (let waited = 0; waited < READY_MS_MAX; waited += LOOK_MS) {
    if (!identity || !isAlive(identity)) break;
    const answered = await fetch(url, { signal: AbortSignal.timeout(1_000) }).catch((error: unknown) => String(error));
    if (typeof answered !== "string" && answered.ok) return;
    await sleep(LOOK_MS);
  }
  const said = readFileSync(join(folder, `${name}.log`), "utf8")
    .trimEnd()
    .split("\n")
    .slice(-10)
    .join("\n");
  throw new Error(`${name} does not answer at ${url}; it says:\n${said}`);
}

function kept(folder: string): Running[] {
  const file = join(folder, "running.json");
  // Written by `keep`, in this shape.
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Running[]) : [];
}

function keep(folder: string, running: Running[]): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "running.json"), JSON.stringify(running));
}
