// What the port for operators tells of the shop, and of what it stands on: PostgreSQL, slots, topics, queues, locks, disk.
import { bad, type Finding, good } from "./finding.ts";
import type { Shop } from "./shop.ts";

/** Longer than each part may take to answer. */
const ASK_MS = 10_000;

/** Of OPS_PORT: docs/operations.md. */
interface Health {
  status: string;
  clock?: { state: string };
  services: Record<string, { database: string }>;
  parts?: Record<string, Part>;
}

interface Part {
  state: "ok" | "trouble" | "silent";
  found: string;
  figures: Record<string, unknown>;
  troubles: { says: string; fix: string }[];
}

export async function operations({ url, env }: Shop): Promise<Finding[]> {
  const opsUrl = `http://${new URL(url).hostname}:${env["OPS_PORT"] || 9091}/health`;
  const answer = await fetch(opsUrl, { signal: AbortSignal.timeout(ASK_MS) });
  const health = (await answer.json()) as Health; // As packages/service/wire/health.ts answers.
  const parts = Object.entries(health.parts ?? {}).map(([part, told]) => ({ part, ...partFinding(told) }));
  return [databases(health), ...parts];
}

function databases({ status, clock, services }: Health): Finding {
  const broken = Object.entries(services).filter(([, { database }]) => database !== "ok");
  if (broken.length > 0)
    return bad(`no database: ${broken.map(([name]) => name).join(", ")}`, "look at PostgreSQL, then at their log");
  if (clock && clock.state !== "ok")
    return bad(`its clock is ${clock.state}`, "let NTP set the clock there; docs/runbooks/ClockOff.md");
  return good(`${status}, databases ok`);
}

function partFinding({ state, found, figures, troubles }: Part): Finding {
  if (state === "silent")
    return { ...bad(found, "is its server up, and does the shop reach it? The log of the shop has more"), figures };
  const says = troubles.map(({ says }) => says);
  const fix = [...new Set(troubles.map(({ fix }) => fix))].join("\n");
  return { good: state === "ok", found, says, fix, figures };
}
