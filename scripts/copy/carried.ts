import type { Sql } from "../../packages/database/database.ts";
import { countUndelivered } from "../../packages/events/embedded.ts";

/** Facts and jobs that a copy's embedded broker has still to deliver. */
export async function carriedBy(broker: Sql): Promise<number> {
  const [queued] = await broker<{ count: bigint }[]>`select count(*) as count from queued`;
  return Number(queued?.count ?? 0n) + (await countUndelivered(broker));
}
