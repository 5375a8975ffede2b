import type { Envelope, FactEnvelope } from "../../api/envelope.ts";
import { isOutage } from "../../database/database.ts";
import { remember, rememberFacts } from "../../database/inbox.ts";
import { keep } from "../../database/jobs.ts";
import { parkArrival } from "../../database/parked.ts";
import type { App } from "../app.ts";
import { byPlace, type Place } from "../places.ts";
import { STANDARD } from "../retry-policies.ts";
import { judge } from "./failures.ts";
import { contextOfFailed, handle, handlerFor, type MessageHandler, type MessageHandlers } from "./handle.ts";
import { noteFailure } from "./message-spans.ts";

/**
 * Takes in facts: remembers each in the inbox and calls its handler, a batch in one transaction.
 * A batch that fails is taken one by one; a fact that fails alone becomes a job that tries again later, with the later facts of its key queued behind it,
 * so that it blocks nobody else; `kept` is told then. Facts of the types `atHome` are handled at home, all others where their keys are. While `careful` says so, every
 * fact becomes a job. Rejects only when the database cannot be asked: then the events port delivers again.
 */
export function createReceiver(
  app: App,
  handlers: MessageHandlers,
  kept: () => void = () => {},
  atHome: ReadonlySet<string> = new Set(),
  careful: () => boolean = () => false,
) {
  async function receive(batch: FactEnvelope[]): Promise<void> {
    try {
      await takeIn(batch);
      if (careful()) kept();
    } catch (error) {
      if (isOutage(error)) throw error;
      if (batch.length > 1) for (const message of batch) await receive([message]);
      else for (const message of batch) await setAside(message, error);
    }
  }

  /** A transaction for each place: one that fails takes nothing back from the others, whose messages are then there already. */
  async function takeIn(batch: FactEnvelope[]) {
    for (const [place, messages] of byPlace(app, batch, placeOf)) await takeInAt(place, messages);
  }

  function placeOf({ type, key }: FactEnvelope): Place {
    return atHome.has(type) ? app : app.at(key);
  }

  async function takeInAt(place: Place, messages: FactEnvelope[]) {
    await place.transact(async (tx) => {
      const now = app.clock.now();
      const { fresh, waiting, parked } = await rememberFacts(tx.sql, messages, now);
      // A message may be in a batch twice: the first takes its id.
      const news = messages.filter((message) => fresh.delete(message.id));
      if (news.length < messages.length)
        app.metrics.messages.inc(
          { service: app.service, type: "duplicate", outcome: "duplicate" },
          messages.length - news.length,
        );
      const behind = { error: "waits behind a parked message of its key", attempts: 0 };
      const free: FactEnvelope[] = [];
      const later: FactEnvelope[] = [];
      for (const message of news) {
        if (parked.has(message.key)) await parkArrival(tx.sql, "fact", message, behind, now);
        else if (careful() || waiting.has(message.key)) later.push(message);
        else if (handlers("fact", message.type) || !message.type) free.push(message);
        else {
          // Another version of the service hears it, and does the later ones of its key after it.
          later.push(message);
          waiting.add(message.key);
        }
      }
      await keep(tx.sql, "fact", later, now);
      for (const { handler, run } of byHandler(app, free, handlers)) await handle(app, tx, handler, "fact", run);
    });
  }

  /** Remembers a fact that failed and keeps it: to be tried again, or parked at once when trying again cannot help. */
  async function setAside(message: FactEnvelope, error: unknown) {
    const { retry = STANDARD, schema } = handlers("fact", message.type) ?? {};
    const context = contextOfFailed(schema, message);
    const verdict = judge(app, retry, error, 1);
    await placeOf(message).transact(async (tx) => {
      const { fresh, parked } = await rememberFacts(tx.sql, [message], app.clock.now());
      if (fresh.size === 0) return;
      if (verdict.parked || parked.has(message.key))
        await parkArrival(tx.sql, "fact", message, verdict, app.clock.now());
      else await keep(tx.sql, "fact", [message], verdict.due_at, verdict);
    });
    kept();
    app.log.in(context).error(verdict.parked ? "fact.parked" : "fact.retrying", error, {
      type: message.type,
      key: message.key,
      message_id: message.id,
    });
    const outcome = verdict.parked ? "parked" : "retried";
    noteFailure(app.service, message, { context, outcome, error });
    app.metrics.messages.inc({ service: app.service, type: message.type, outcome });
  }

  return receive;
}

/** Takes in jobs from other services: remembers each and keeps it as a job of this service, due now. */
export async function takeInJobs(app: App, messages: Envelope[]): Promise<void> {
  for (const [place, group] of byPlace(app, messages)) {
    await place.transact(async (tx) => {
      const fresh = await remember(tx.sql, group, app.clock.now());
      const news = group.filter((message) => fresh.delete(message.id));
      await keep(tx.sql, "job", news, app.clock.now());
    });
  }
}

/** Consecutive messages of one handler. */
function byHandler(
  app: App,
  messages: FactEnvelope[],
  handlers: MessageHandlers,
): { handler: MessageHandler; run: FactEnvelope[] }[] {
  const out: { handler: MessageHandler; run: FactEnvelope[] }[] = [];
  for (const message of messages) {
    const handler = handlerFor(app, handlers, "fact", message.type);
    const last = out.at(-1);
    if (last?.handler === handler) last.run.push(message);
    else out.push({ handler, run: [message] });
  }
  return out;
}
