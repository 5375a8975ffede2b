import postgres from "postgres";
import { hostsOf } from "./url.ts";

/*
 * Words used below and everywhere:
 *   story      what one handler does, in one transaction
 *   recording  a story that only writes; the recordings that wait at one moment commit together
 *   outbox     facts that are committed and not yet published
 *   relay      what carries the outbox to the events port
 *   inbox      ids of the messages this service has taken in, for ever once
 *   jobs       what this service has to do, now or later
 *   parked     messages that failed for good and wait for a person
 */

export type Sql = postgres.Sql<{ bigint: bigint }>;
/** A value `sql` accepts as a parameter of type json. */
export type Json = postgres.JSONValue;

/** One service's PostgreSQL database. int8 is bigint, timestamptz is Date, bytea is Uint8Array, uuid is string. */
export interface Database {
  /** Reads, and single statements. */
  sql: Sql;
  /** One transaction on one connection; commits when `work` resolves, rolls back when it throws. */
  transaction<T>(work: (sql: Sql) => Promise<T>): Promise<T>;
  /** A session of its own, for a session-level advisory lock. Lost when `close`d or when the server goes. */
  session(): Session;
  close(): Promise<void>;
}

export interface Session {
  sql: Sql;
  /** The connection was closed, and with it the session's locks. */
  lost(): boolean;
  close(): Promise<void>;
}

const POOL_CONNECTIONS = 10;
const IDLE_S = 60;
const CONNECT_TIMEOUT_S = 5;
const STATEMENT_TIMEOUT_MS = 10_000;
/** The server ends a statement before that; only a commit that waits for a replica may take longer, and then nobody knows. */
const ANSWER_TIMEOUT_S = 15;
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 15_000;
const CLOSE_TIMEOUT_S = 5;
/** Seconds before each new try to connect; the library's own grows to twenty. */
const backoff = (tries: number) => Math.min(0.02 * 2 ** tries, 1);

/** Opens lazily: the first statement connects. `url` is a libpq-style postgres:// URL; of several hosts the one that is primary is used. */
export function openDatabase(url: string, name: string): Database {
  const sql = connect(url, name, POOL_CONNECTIONS);
  return {
    sql,
    // postgres.js types a transaction's sql apart from the pool's; at run time it answers the same calls.
    transaction: (work) => sql.begin((tx) => work(tx as unknown as Sql)) as Promise<never>,
    session() {
      let lost = false;
      const own = connect(url, `${name}-session`, 1, () => {
        lost = true;
      });
      return { sql: own, lost: () => lost, close: () => own.end({ timeout: CLOSE_TIMEOUT_S }) };
    },
    close: () => sql.end({ timeout: CLOSE_TIMEOUT_S }),
  };
}

function connect(url: string, name: string, max: number, onclose?: () => void): Sql {
  return postgres(url, {
    max,
    idle_timeout: max === 1 ? 0 : IDLE_S,
    connect_timeout: CONNECT_TIMEOUT_S,
    answer_timeout: ANSWER_TIMEOUT_S,
    ...(hostsOf(url).length > 1 && { target_session_attrs: "primary" }),
    max_lifetime: null,
    backoff,
    onnotice: () => {},
    ...(onclose && { onclose }),
    types: { bigint: postgres.BigInt },
    connection: {
      application_name: `bodega-${name}`,
      statement_timeout: STATEMENT_TIMEOUT_MS,
      idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_TIMEOUT_MS,
      timezone: "UTC",
    },
  });
}

/** SQLSTATE of an error that came from PostgreSQL, or the driver's own code, such as CONNECTION_CLOSED. */
export function errorCode(error: unknown): string | undefined {
  if (error instanceof Error && "code" in error && typeof error.code === "string") return error.code;
  return undefined;
}

/** Whether the database could not be asked, so that asking again later may work. 25006: it is a replica now, or not yet a primary. */
export function isOutage(error: unknown): boolean {
  const code = errorCode(error) ?? "";
  return /^(CONNECT|CONNECTION_|ECONN|ENOTFOUND|EPIPE|ENOENT|08|57P0|53|57014|25P03|25006)/.test(code);
}

export function isUniqueViolation(error: unknown, constraint: string): boolean {
  return (
    errorCode(error) === "23505" && error instanceof postgres.PostgresError && error.constraint_name === constraint
  );
}
