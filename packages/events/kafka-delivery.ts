import type { Log } from "../telemetry/log.ts";
import { backoffMs, SOON } from "../time/backoff.ts";
import { sleep } from "../time/wait.ts";
import type { FactHandler } from "./events.ts";
import { type KafkaRecord, toFact } from "./kafka-message.ts";

/** What the driver puts into our hand: a batch of one partition, and what may be said about it. */
export interface Hand {
  batch: { topic: string; partition: number; messages: KafkaRecord[] };
  heartbeat(): Promise<void>;
  resolveOffset(offset: string): void;
  commitOffsetsIfNecessary(offsets: { topics: Committed[] }): Promise<void>;
  isRunning(): boolean;
  isStale(): boolean;
}

interface Committed {
  topic: string;
  partitions: { partition: number; offset: string }[];
}

export const HEARTBEAT_MS = 1_000;
const BATCH_MESSAGES_MAX = 200;

/** Hands on what was fetched, and says so to Kafka only after the handler. What is left unsaid is fetched again. */
export async function deliver(hand: Hand, handler: FactHandler, log: Log, closing: AbortSignal) {
  const { batch, heartbeat, resolveOffset, commitOffsetsIfNecessary, isRunning, isStale } = hand;
  const { topic, partition, messages } = batch;
  const alive = () => isRunning() && !isStale() && !closing.aborted;
  for (let from = 0; from < messages.length; from += BATCH_MESSAGES_MAX) {
    const part = messages.slice(from, from + BATCH_MESSAGES_MAX);
    const facts = part.map((message) => toFact(message, topic, partition));
    let handled = false;
    for (let failures = 0; !handled; ) {
      if (!alive()) return;
      try {
        await whileBeating(heartbeat, log, handler(facts));
        handled = true;
      } catch (error) {
        failures += 1;
        log.error("events.redelivering", error, { topic, partition, failures });
        await sleep(backoffMs(failures, SOON), closing);
        // Rejects when the group is rebalancing: then the batch goes to whoever has the partition next.
        if (alive()) await heartbeat();
      }
    }
    const last = part.at(-1)?.offset ?? "";
    const next = String(BigInt(last) + 1n);
    await commitOffsetsIfNecessary({ topics: [{ topic, partitions: [{ partition, offset: next }] }] });
    resolveOffset(last);
  }
}

/** A handler may take longer than a silent member is kept in its group. */
async function whileBeating(heartbeat: () => Promise<void>, log: Log, work: Promise<void>): Promise<void> {
  const over = new AbortController();
  const beat = async () => {
    for (;;) {
      await sleep(HEARTBEAT_MS, over.signal);
      if (over.signal.aborted) return;
      await heartbeat();
    }
  };
  // The commit after the handler meets the same trouble, and is where it counts.
  const beating = beat().catch((error: unknown) => log.warn("events.heartbeat_failed", { error: String(error) }));
  try {
    await work;
  } finally {
    over.abort();
    await beating;
  }
}
