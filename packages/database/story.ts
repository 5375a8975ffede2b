import { create, toBinary } from "@bufbuild/protobuf";
import { sourceOf } from "../api/envelope.ts";
import type { BodyInit, Fact, Job } from "../api/messages.ts";
import { type Context, contextFrom, currentContext, traceparent } from "../telemetry/context.ts";
import { bucketOf } from "../time/ids.ts";
import type { Sql } from "./database.ts";
import { ENVELOPE } from "./envelope.ts";
import { arraysOf, type Row, type RowOf, selectOf, type Table, table } from "./table.ts";

/** Less than Kafka takes at its default of 1 MiB: a fact that no broker takes would be in the way of all that are told after it. */
export const FACT_BYTES_MAX = 900_000;

/** What a synchronous story may do: record. Nothing is written before the story ends; then all of it commits, or none. */
export interface Recording {
  /** Of the request or the message on whose account this is done; facts and jobs carry it on. */
  context: Context;
  /** A new row. */
  insert<T extends Table>(into: T, row: RowOf<T["columns"]>): void;
  /** Something happened: to many readers, in order per aggregate. */
  emit<F extends Fact>(fact: F, body: BodyInit<F>): void;
  /** Something must be done, once, now or `at` a business time. */
  enqueue<J extends Job>(job: J, body: BodyInit<J>, when?: { at: Date }): void;
  /** Wakes the streams of this process that watch `key`, once this story has committed. */
  changed(key: string): void;
}

/** What an asynchronous story may do besides: read and write inside its transaction. */
export interface Tx extends Recording {
  sql: Sql;
  /** The same transaction on account of another message. A handler's messages come with theirs. */
  under(context: Context): Tx;
}

/** What makes ids and tells the time for recordings, and whose service it is. */
export interface Recorder {
  service: string;
  now(): Date;
  newId(): string;
}

/** The rows that one story recorded. */
export type Recorded = Map<Table, Row[]>;

/** Its names are Debezium's. */
export const OUTBOX = table("outbox", {
  id: "uuid",
  aggregatetype: "text",
  aggregateid: "text",
  type: "text",
  payload: "bytea",
  time: "timestamptz",
  traceparent: "text",
  correlation_id: "text",
});

/** What is written of a job that nobody has begun. */
export const JOBS = table("jobs", {
  bucket: "smallint",
  job_id: "uuid",
  kind: "text",
  target: "text",
  due_at: "timestamptz",
  ...ENVELOPE,
});

/** What a story has recorded until now, and more of it. */
export interface Notes extends Recording {
  recorded: Recorded;
  /** What was `changed`. */
  keys: Set<string>;
  under(context: Context): Recording;
}

export function record(recorder: Recorder): Notes {
  const recorded: Recorded = new Map();
  const keys = new Set<string>();
  const under = (context: Context) => recordingIn(context, recorder, recorded, keys);
  return { recorded, keys, under, ...under(currentContext() ?? contextFrom(null, null)) };
}

function recordingIn(context: Context, recorder: Recorder, recorded: Recorded, keys: Set<string>): Recording {
  const insert = <T extends Table>(into: T, row: RowOf<T["columns"]>) => {
    const rows = recorded.get(into);
    if (rows) rows.push(row);
    else recorded.set(into, [row]);
  };
  const carried = () => ({ traceparent: traceparent(context), correlation_id: context.correlationId });
  return {
    context,
    insert,
    changed: (key) => keys.add(key),
    emit(fact, init) {
      // `init` has the shape the fact's schema asks for: BodyInit ties the two.
      const body = create(fact.schema, init as never);
      const payload = toBinary(fact.schema, body);
      if (payload.byteLength > FACT_BYTES_MAX)
        throw new Error(
          `a fact has at most ${FACT_BYTES_MAX} bytes, ${fact.type} of ${fact.key(body)} ${payload.byteLength}`,
        );
      insert(OUTBOX, {
        id: recorder.newId(),
        aggregatetype: fact.topic,
        aggregateid: fact.key(body),
        type: fact.type,
        payload,
        time: recorder.now(),
        ...carried(),
      });
    },
    enqueue(job, init, when) {
      const body = create(job.schema, init as never);
      const key = job.key(body);
      const now = recorder.now();
      insert(JOBS, {
        bucket: bucketOf(key),
        job_id: recorder.newId(),
        kind: "job",
        target: job.service === recorder.service ? null : job.service,
        type: job.type,
        source: sourceOf(recorder.service),
        key,
        body: toBinary(job.schema, body),
        time: now,
        due_at: when?.at ?? now,
        ...carried(),
      });
    },
  };
}

/** One statement for all rows: a common table expression per table, one parameter a column. */
export async function write(sql: Sql, recorded: Recorded): Promise<void> {
  if (recorded.size === 0) return;
  const inserts: string[] = [];
  const parameters: string[] = [];
  for (const [into, rows] of recorded) {
    const { name, names } = into;
    inserts.push(`i${inserts.length} as (insert into ${name} (${names}) ${selectOf(into, parameters.length + 1)})`);
    parameters.push(...arraysOf(into, rows));
  }
  await sql.unsafe(`with ${inserts.join(", ")} select 1`, parameters, { prepare: true });
}
