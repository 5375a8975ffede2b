import type { App, Tx } from "../../packages/service/app.ts";
import type { Message } from "../../packages/service/service.ts";
import { type Entry, hashOf, type Place } from "./chain.ts";
import type { EventLogConfig } from "./config.ts";
import { addMonths, dropMonths, openMonth } from "./months.ts";
import { orderOf } from "./order-of.ts";
import { append, type Head, lockHead, monthOf, type SealedEntry } from "./store.ts";

/** Watchers of the journal wait for a change of this. */
export const EVENTS = "events";
/** A checkpoint is kept after so many events, or so much time, whichever comes first. */
const CHECKPOINT_EVENTS = 1_000n;
const CHECKPOINT_MS = 60_000;

/** Appends what has come, whatever it is: a set of facts is one statement, and its end is signed. */
export async function recordEvents(app: App<EventLogConfig>, tx: Tx, messages: Message[]): Promise<void> {
  const head = await lockHead(tx.sql);
  // Of two processes one may be a little behind: the journal's own time never steps back.
  const recordedAt = new Date(Math.max(app.clock.now().getTime(), head.recorded_at.getTime()));
  if (monthOf(recordedAt) !== monthOf(head.recorded_at)) await turnMonth(app, tx, monthOf(recordedAt));
  const entries = linked(
    head,
    messages.map((message, index) => entryOf(message, head.sequence + BigInt(index + 1), recordedAt)),
  );
  const last = entries.at(-1);
  if (!last) return;
  const place = { sequence: last.sequence, hash: last.hash, recorded_at: recordedAt };
  const due = isDue(head, place);
  const { signer } = app.config;
  const checkpoint = due ? { ...place, signature: signer.sign("checkpoint", place) } : undefined;
  const kept = due ? { checkpoint_sequence: place.sequence, checkpoint_at: recordedAt } : {};
  await append(tx.sql, entries, { ...head, ...place, ...kept, signature: signer.sign("head", place) }, checkpoint);
  tx.changed(EVENTS);
  // Written where the database's owner cannot change it: VerifyChain takes it as what is known.
  if (checkpoint)
    app.log.info("eventlog.checkpoint", {
      sequence: `${place.sequence}`,
      hash: Buffer.from(place.hash).toString("hex"),
    });
}

function entryOf(
  { id, type, source, key, time, traceparent, correlationId, body }: Message,
  sequence: bigint,
  recordedAt: Date,
): Entry {
  return {
    sequence,
    event_id: id.toLowerCase(),
    type,
    source,
    subject: key,
    time,
    recorded_at: recordedAt,
    traceparent,
    correlation_id: correlationId,
    order_id: orderOf(type, body),
    body,
  };
}

function linked({ hash }: Place, entries: Entry[]): SealedEntry[] {
  let before = hash;
  return entries.map((entry) => {
    before = hashOf(before, entry);
    return { ...entry, hash: before };
  });
}

function isDue(head: Head, { sequence, recorded_at }: Place): boolean {
  return (
    sequence - head.checkpoint_sequence >= CHECKPOINT_EVENTS ||
    recorded_at.getTime() - head.checkpoint_at.getTime() >= CHECKPOINT_MS
  );
}

async function turnMonth({ config, log }: App<EventLogConfig>, { sql }: Tx, month: string) {
  await openMonth(sql, month);
  const { keepMonths, signer } = config;
  if (keepMonths === undefined) return;
  const dropped = await dropMonths(sql, addMonths(month, -keepMonths), (place) => signer.sign("seal", place));
  if (dropped.length > 0) log.info("eventlog.dropped", { months: dropped.join() });
}
