import { rmSync } from "node:fs";
import { killPostgres, type Program, postgresOf, startProgram } from "../kit/program.ts";
import { say } from "./books.ts";
import type { Dice } from "./dice.ts";
import { newPlace, type Place } from "./place.ts";

export interface Victim {
  program: Program;
  /** From each kill until all was open again, in milliseconds of the machine's clock. */
  outages: { from: number; to: number }[];
  /** How often what was killed. */
  kills: Record<string, number>;
}

const PEACE_MS_MIN = 1_000;
const PEACE_MS_MAX = 4_000;
const STARTING_MS_MAX = 1_500;
const READY_MS_MAX = 60_000;
const LOOK_MS = 50;
/** Of ten kills, five are of the program, three of PostgreSQL, and two of both at once. */
const TARGETS = [
  ...Array<"program">(5).fill("program"),
  ...Array<"PostgreSQL">(3).fill("PostgreSQL"),
  ...Array<"both">(2).fill("both"),
] as const;

/** Works with a program in a place of its own. CHAOS_KEEP=1 leaves the data and the log for a look. */
export async function withVictim(work: (victim: Victim, place: Place) => Promise<void>): Promise<void> {
  const place = await newPlace();
  const victim: Victim = { program: startProgram(place.env, place.logFile), outages: [], kills: {} };
  try {
    await victim.program.open();
    await ready(place.base);
    await work(victim, place);
  } finally {
    victim.program.signal("SIGKILL");
    await victim.program.exited;
    killPostgres(place.dataDir);
    if (process.env["CHAOS_KEEP"]) say(`kept: ${place.folder}`);
    else rmSync(place.folder, { recursive: true, force: true });
  }
}

/** Kills `count` times at moments nobody chose, some of them while it starts, and starts again on the same data each time. */
export async function killAgainAndAgain(victim: Victim, place: Place, count: number, dice: Dice): Promise<void> {
  for (let done = 0; done < count; ) {
    await Bun.sleep(dice.between(PEACE_MS_MIN, PEACE_MS_MAX));
    const from = Date.now();
    const target = dice.pick(TARGETS);
    done += 1;
    if (target === "PostgreSQL") await killDatabase(victim, place);
    else {
      await killProgram(victim, target, target === "both" ? place.dataDir : undefined);
      start(victim, place);
      while (done < count && dice.chance(0.2)) {
        await Bun.sleep(dice.between(0, STARTING_MS_MAX));
        await killProgram(victim, "program, soon after its start");
        start(victim, place);
        done += 1;
      }
      await victim.program.open();
    }
    await ready(place.base);
    victim.outages.push({ from, to: Date.now() });
  }
}

export function start(victim: Pick<Victim, "program">, { env, logFile }: Place): void {
  victim.program = startProgram(env, logFile);
}

/** Mourned at once, so that its last words end up in the log and not in the test's. */
async function killProgram(victim: Victim, name: string, postgresToo?: string): Promise<void> {
  victim.program.signal("SIGKILL");
  if (postgresToo) killPostgres(postgresToo);
  await victim.program.exited;
  count(victim, name);
}

/** The program brings it back by itself. */
async function killDatabase(victim: Victim, { dataDir }: Place): Promise<void> {
  const before = postgresOf(dataDir);
  if (!killPostgres(dataDir)) throw new Error("PostgreSQL was to be killed and is not there");
  count(victim, "PostgreSQL");
  await until("PostgreSQL back", () => {
    const now = postgresOf(dataDir);
    return now !== undefined && now !== before;
  });
}

function count({ kills }: Victim, name: string): void {
  kills[name] = (kills[name] ?? 0) + 1;
}

export async function ready(base: string): Promise<void> {
  await until("readiness", async () => {
    const answer = await fetch(`${base}/readyz`, { signal: AbortSignal.timeout(READY_MS_MAX) }).catch(
      (error: unknown) => error,
    );
    return answer instanceof Response && answer.status === 200;
  });
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const patience = AbortSignal.timeout(READY_MS_MAX); !(await holds()); await Bun.sleep(LOOK_MS))
    if (patience.aborted) throw new Error(`waited ${READY_MS_MAX} ms for ${what}`);
}
