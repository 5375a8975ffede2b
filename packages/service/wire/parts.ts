import type { Inspection, Parts } from "../../telemetry/inspection.ts";
import { within } from "../../time/wait.ts";

/** A part as /health tells it: silent when it could not be asked, or not in time. */
export interface PartHealth extends Inspection {
  state: "ok" | "trouble" | "silent";
}

/** More than a part that is well needs, less than whoever asks waits. */
const PART_MS_MAX = 4_000;

/** Asks all parts at once, each for so long: one that is silent keeps no other back. */
export async function inspectParts(parts: Parts, msMax = PART_MS_MAX): Promise<Record<string, PartHealth>> {
  const asked = Object.entries(parts).map(
    async ([name, inspect]) => [name, await stateOf(() => within(msMax, "no answer", inspect))] as const,
  );
  return Object.fromEntries(await Promise.all(asked));
}

async function stateOf(inspect: () => Promise<Inspection>): Promise<PartHealth> {
  try {
    const inspection = await inspect();
    return { state: inspection.troubles.length === 0 ? "ok" : "trouble", ...inspection };
  } catch (error) {
    return { state: "silent", found: messageOf(error), figures: {}, troubles: [] };
  }
}

function messageOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(messageOf).join("; ");
  return error instanceof Error && error.message !== "" ? error.message : String(error);
}
