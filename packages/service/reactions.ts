import { fromBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { isOutage } from "../database/database.ts";
import { remember, rememberFacts } from "../database/inbox.ts";
import { type Arrival, keep } from "../database/jobs.ts";
import { parkArrival } from "../database/parked.ts";
import type { FactMessage } from "../events/events.ts";
import type { JobMessage } from "../jobs/jobs.ts";
import { bindContext, contextFrom, inContextOf, withContext } from "../telemetry/context.ts";
import { span } from "../telemetry/trace.ts";
import type { App, Tx } from "./app.ts";
import { failureOf, RETRY_MS_MIN } from "./retry.ts";
import type { Hears } from "./service.ts";

/**
 * Takes in facts: remembers each in the inbox and calls its handler, a batch in one transaction.
 * A batch that fails is taken one by one; a fact that fails alone becomes a job that tries again later, with the later facts of its key queued behind it,
 * so that it blocks nobody else; `kept` is told then. Rejects only when the database cannot be asked: then the events port delivers again.
 */
export function createReceiver(app: App, hears: Hears[], kept: () => void = () => {}) {
  const byType = new Map(hears.map((each) => [each.fact.type, each]));
  if (byType.size !== hears.length) throw new Error(`${app.service} hears a fact twice: one handler per fact`);

  async function receive(batch: FactMessage[]): Promise<void> {
    try {
      await takeIn(batch);
    } catch (error) {
      if (isOutage(error)) throw error;
      if (batch.length > 1) for (const message of batch) await receive([message]);
      else for (const message of batch) await setAside(message, error);
    }
  }

  async function takeIn(messages: FactMessage[]) {
    await app.transact(async (tx) => {
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
      const free: FactMessage[] = [];
      for (const message of news) {
        if (parked.has(message.key)) await parkArrival(tx.sql, arrival(message), behind, now);
        else if (waiting.has(message.key)) await keep(tx.sql, [arrival(message)], now);
        else free.push(message);
      }
      for (const run of runs(free)) await handleRun(tx, run);
    });
  }

  async function handleRun(tx: Tx, run: FactMessage[]) {
    const [first] = run;
    if (!first) return;
    const hearer = byType.get(first.type);
    if (!hearer) throw new ConnectError("the message has no type", Code.InvalidArgument);
    const bodies = run.map((message) => {
      const body = decode(hearer, message.body);
      bindContext(body, contextFrom(message.requestId, message.traceparent));
      return body;
    });
    await span(`on ${first.type}`, { "messaging.batch.message_count": run.length }, () =>
      hearer.handle(app, tx, bodies),
    );
    // One line per message, so that one order's story reads on in every service that heard of it.
    run.forEach((message, index) => {
      inContextOf(bodies[index] ?? message, () => app.log.info("fact.done", { type: message.type, key: message.key }));
    });
    app.metrics.messages.inc({ service: app.service, type: first.type, outcome: "done" }, run.length);
  }

  /** Remembers a fact that failed and keeps it: to be tried again, or parked at once when trying again cannot help. */
  async function setAside(message: FactMessage, error: unknown) {
    const failure = failureOf(error, 1);
    await app.transact(async (tx) => {
      const fresh = await remember(tx.sql, [message], app.clock.now());
      if (fresh.size === 0) return;
      if (failure.final) await parkArrival(tx.sql, arrival(message), failure, app.clock.now());
      else await keep(tx.sql, [arrival(message)], app.clock.soon(RETRY_MS_MIN), failure);
    });
    kept();
    withContext(contextFrom(message.requestId, message.traceparent), () =>
      app.log.error(failure.final ? "fact.parked" : "fact.retrying", error, {
        type: message.type,
        key: message.key,
        message_id: message.id,
      }),
    );
    app.metrics.messages.inc({
      service: app.service,
      type: message.type,
      outcome: failure.final ? "parked" : "retried",
    });
  }

  return receive;
}

/** Takes in jobs from other services: remembers each and keeps it as a job of this service, due now. */
export async function takeInJobs(app: App, messages: JobMessage[]): Promise<void> {
  await app.transact(async (tx) => {
    const fresh = await remember(tx.sql, messages, app.clock.now());
    const news = messages.filter((message) => fresh.delete(message.id));
    const arrivals = news.map(
      ({ id, type, key, body, traceparent, requestId }): Arrival => ({
        id,
        kind: "job",
        type,
        key,
        body,
        traceparent,
        request_id: requestId,
      }),
    );
    await keep(tx.sql, arrivals, app.clock.now());
  });
}

/** Consecutive messages of one type. */
function runs(messages: FactMessage[]): FactMessage[][] {
  const out: FactMessage[][] = [];
  for (const message of messages) {
    const last = out.at(-1);
    if (last?.[0]?.type === message.type) last.push(message);
    else out.push([message]);
  }
  return out;
}

export function decode(hearer: Hears, body: Uint8Array) {
  try {
    return fromBinary(hearer.fact.schema, body);
  } catch (error) {
    throw new ConnectError(`the body is not a ${hearer.fact.schema.typeName}: ${String(error)}`, Code.InvalidArgument);
  }
}

function arrival({ id, type, key, body, traceparent, requestId }: FactMessage): Arrival {
  return { id, kind: "fact", type, key, body, traceparent, request_id: requestId };
}
