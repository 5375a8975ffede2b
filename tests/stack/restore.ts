// A backup under load, then everything removed with its volumes, and a new stack as the last one was at a moment in between: whoever was told of an order by then has it.
import { VerifyChainResponseSchema } from "../../packages/api/gen/bodega/eventlog/v1/eventlog_pb.ts";
import type { Counts } from "../../scripts/command.ts";
import { report, say } from "../chaos/books.ts";
import { must } from "../chaos/client.ts";
import { createDice } from "../chaos/dice.ts";
import { type Acknowledgement, type Load, startLoad } from "../chaos/load.ts";
import { renewTokens } from "../chaos/shop.ts";
import { SEED } from "../kit/seed.ts";
import { booksOf, countOf, SLOWER, type Trial } from "./trial.ts";

const PHASE_MS = 20_000;
const LOOK_MS = 50;
/** A mail server is not set back: what was written after the moment is written again. */
const NOT_KEPT = "mails doubled";

/** What customers had been told at a moment. */
interface Moment {
  at: Date;
  acknowledged: Acknowledgement[];
  restocked: Map<string, number>;
}

export async function restoreIn(trial: Trial): Promise<Counts> {
  const { swarm, client, shop } = trial;
  const before = startLoad(client, shop, createDice(SEED + 1), { slower: SLOWER });
  await Bun.sleep(PHASE_MS);
  await swarm.stack(["backup"]);
  await Bun.sleep(PHASE_MS);
  const moment = await momentIn(before);
  await Bun.sleep(PHASE_MS);
  await before.stop();
  const undone = before.acknowledged.length - moment.acknowledged.length;
  const at = moment.at.toISOString();
  say(
    `  everything is removed, and comes back as it was at ${at}: ${undone} of ${before.acknowledged.length} answers later`,
  );
  const found = [];
  // What is there is not written over.
  const refused = await swarm.stack(["restore", "--at", at]).catch(() => "refused");
  found.push({ name: "a restore beside a stack that runs is refused", found: refused ? [] : ["it was not"] });
  await swarm.stack(["down", "--volumes"]);
  await swarm.stack(["restore", "--at", at]);
  const outage = { from: moment.at.getTime(), to: Date.now() };
  await renewTokens(client, shop);
  const after = startLoad(client, shop, createDice(SEED + 2), { slower: SLOWER, name: "restock-again" });
  await Bun.sleep(PHASE_MS);
  await after.stop();
  await renewTokens(client, shop);
  const books = await booksOf(trial, together(moment, after), [outage]);
  report(books);
  const verify = { method: "GET", path: "/v1/events:verify", token: shop.adminToken } as const;
  const { intact } = await must(client.ask(VerifyChainResponseSchema, verify));
  found.push({ name: "the event log is intact", found: intact ? [] : ["it is not"] });
  const kept = moment.acknowledged.length;
  found.push({
    name: `${kept} answers before the moment, ${undone} after it`,
    found: kept > 0 && undone > 0 ? [] : ["nothing was tested"],
  });
  return countOf([...found, ...books.findings.filter(({ name }) => name !== NOT_KEPT)]);
}

/** Just after a delivery, so that none is under way, and in the middle of everything else. */
async function momentIn({ acknowledged, restocked }: Load): Promise<Moment> {
  const units = () => restocked.values().reduce((sum, each) => sum + each, 0);
  for (const now = units(); units() === now; ) await Bun.sleep(LOOK_MS);
  return { acknowledged: [...acknowledged], restocked: new Map(restocked), at: new Date() };
}

function together(moment: Moment, after: Load): Load {
  const restocked = new Map(moment.restocked);
  for (const [productId, units] of after.restocked) restocked.set(productId, (restocked.get(productId) ?? 0) + units);
  return { ...after, acknowledged: [...moment.acknowledged, ...after.acknowledged], restocked };
}
