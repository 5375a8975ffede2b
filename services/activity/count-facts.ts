import type { App, Tx } from "../../packages/service/app.ts";
import type { Message } from "../../packages/service/service.ts";
import { COUNTS } from "./day.ts";
import { addRows } from "./store.ts";
import { tally } from "./tally.ts";

/** Counts what has come, whatever it is, on the day it happened. */
export async function countFacts(_app: App, tx: Tx, messages: Message[]): Promise<void> {
  await addRows(tx.sql, tally(messages));
  tx.changed(COUNTS);
}
