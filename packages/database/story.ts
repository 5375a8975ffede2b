import { create, toBinary } from "@bufbuild/protobuf";
import { sourceOf } from "../api/envelope.ts";
import type { BodyInit, Fact, Job } from "../api/messages.ts";
import { type Context, contextFrom, currentContext, traceparent } from "../telemetry/context.ts";
import { bucketOf } from "../time/ids.ts";
import type { Sql } from "./database.ts";

/** Less than Kafka takes at its default of 1 MiB: a fact that no broker takes would be in the way of all that are told after it. */
export const FACT_BYTES_MAX = 900_000;

/** What a synchronous story may do: record. Nothing is written before the story ends; then all of it commits, or none. */
export interface Recording {
  /** Of the request or the message on whose account this is done; facts and jobs carry it on. */
  context: Context;
  /** A new row of `table`; properties are column names. */
  insert(table: string, row: Row): void;
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

export type Row = Record<string, Value>;
/** A row whose columns are known by name. */
type Values<Columns> = { [column in keyof Columns]: Value };
export type Value = string | number | bigint | boolean | Date | Uint8Array | null | undefined | object;

/** What makes ids and tells the time for recordings, and whose service it is. */
export interface Recorder {
  service: string;
  now(): Date;
  newId(): string;
}

/** The rows one story recorded, by statement: a table and its columns. */
export type Recorded = Map<string, { table: string; columns: string[]; rows: Row[] }>;

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
  const insert = (table: string, row: Row) => {
    const columns = Object.keys(row);
    const statement = `${table} ${columns.join()}`;
    const group = recorded.get(statement) ?? { table, columns, rows: [] };
    group.rows.push(row);
    recorded.set(statement, group);
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
      insert("outbox", {
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
      insert("jobs", {
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

/** One statement for all rows: a common table expression per table, one parameter each. */
export async function write(sql: Sql, recorded: Recorded): Promise<void> {
  if (recorded.size === 0) return;
  const groups = [...recorded.values()];
  const inserts = groups.map(
    ({ table, columns }, index) =>
      `i${index} as (insert into ${table} (${columns.join()}) select ${columns.join()} from json_populate_recordset(null::${table}, $${index + 1}::text::json))`,
  );
  await sql.unsafe(
    `with ${inserts.join(", ")} select 1`,
    groups.map(({ rows }) => json(rows)),
    { prepare: true },
  );
}

/** Rows for json_populate_recordset. Put together by hand: JSON.stringify would look at each digit of a body for what it must escape. */
export function json<Columns extends Values<Columns>>(rows: Columns[]): string {
  let text = "";
  for (const row of rows) {
    let members = "";
    for (const column in row) members += `${members && ","}"${column}":${jsonValue(row[column])}`;
    text += `${text && ","}{${members}}`;
  }
  return `[${text}]`;
}

/** A value as PostgreSQL reads it from JSON. */
function jsonValue(value: Value): string {
  if (value instanceof Uint8Array) return `"\\\\x${value.toHex()}"`;
  if (value instanceof Date) return `"${value.toISOString()}"`;
  if (typeof value === "bigint") return `"${value}"`;
  return JSON.stringify(value) ?? "null";
}
