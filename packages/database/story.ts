import { create, toBinary } from "@bufbuild/protobuf";
import type { BodyInit, Fact, Job } from "../api/messages.ts";
import { contextFrom, currentContext, traceparent } from "../telemetry/context.ts";
import type { Sql } from "./database.ts";
import { bucketOf } from "./ids.ts";

/** What a synchronous story may do: record. Nothing is written before the story ends; then all of it commits, or none. */
export interface Recording {
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
}

export type Row = Record<string, Value>;
export type Value = string | number | bigint | boolean | Date | Uint8Array | null | undefined | object;

/** What makes ids and tells the time for recordings, and whose service it is. */
export interface Recorder {
  service: string;
  now(): Date;
  newId(): string;
}

/** The rows one story recorded, by statement: a table and its columns. */
export type Recorded = Map<string, { table: string; columns: string[]; rows: Row[] }>;

export function record(recorder: Recorder): Recording & { recorded: Recorded; keys: Set<string> } {
  const recorded: Recorded = new Map();
  const insert = (table: string, row: Row) => {
    const columns = Object.keys(row);
    const statement = `${table} ${columns.join()}`;
    const group = recorded.get(statement) ?? { table, columns, rows: [] };
    group.rows.push(row);
    recorded.set(statement, group);
  };
  const keys = new Set<string>();
  return {
    recorded,
    keys,
    insert,
    changed: (key) => keys.add(key),
    emit(fact, init) {
      // `init` has the shape the fact's schema asks for: BodyInit ties the two.
      const body = create(fact.schema, init as never);
      insert("outbox", {
        id: recorder.newId(),
        aggregatetype: fact.topic,
        aggregateid: fact.key(body),
        type: fact.type,
        payload: toBinary(fact.schema, body),
        time: recorder.now(),
        ...carried(),
      });
    },
    enqueue(job, init, when) {
      const body = create(job.schema, init as never);
      const key = job.key(body);
      insert("jobs", {
        bucket: bucketOf(key),
        job_id: recorder.newId(),
        kind: "job",
        target: job.service === recorder.service ? null : job.service,
        type: job.type,
        key,
        body: toBinary(job.schema, body),
        due_at: when?.at ?? recorder.now(),
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

/** Rows for json_populate_recordset. */
export function json(rows: Row[]): string {
  return JSON.stringify(rows.map(jsonRow));
}

/** A row as PostgreSQL reads it from JSON. */
export function jsonRow(row: Row): Row {
  const out: Row = {};
  for (const column in row) {
    const value = row[column];
    if (typeof value === "bigint") out[column] = value.toString();
    else if (value instanceof Uint8Array)
      out[column] = `\\x${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("hex")}`;
    else out[column] = value;
  }
  return out;
}

function carried() {
  const context = currentContext() ?? contextFrom(null, null);
  return { traceparent: traceparent(context), request_id: context.requestId };
}
