import postgres from "postgres";
import { backoffMs } from "../time/backoff.ts";
import { createPulse } from "./pulse.ts";
import { hostsOf, withTls } from "./url.ts";

/*
 * Words used below and everywhere:
 *   story      what one handler does, in one transaction
 *   recording  a story that only writes; the recordings that wait at one moment commit together
 *   outbox     facts that are committed and not yet published
 *   relay      what carries the outbox to the events port
 *   inbox      ids of the messages this service has taken in, for ever once
 *   jobs       what this service has to do, now or later
 *   lease      work that is somebody's until a moment
 *   parked     dead letters: messages that failed for good and wait for a person
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
  /** For group commits, COMMIT_CONNECTIONS at one time: they never wait for a connection, and for a lock not as long as others. */
  commits: Sql;
  /** Settles as `work` does; rejects within about a second when the server does not answer at all, and at once while that is known. */
  unlessSilent<T>(work: () => Promise<T>): Promise<T>;
  /** The one session beside the pool, for short questions that must not wait for others; another when it was lost. Notifications that it listens to call `onNotify`. */
  aside(onNotify?: () => void): Session;
  /** A session of its own. Lost when `close`d or when the server goes. */
  session(options?: SessionOptions): Session;
  close(): Promise<void>;
}

export interface SessionOptions {
  /** A server that says nothing for so long is taken for gone; left out, as long as for everybody. */
  answerTimeoutS?: number;
  /** Called at each notification of a channel that the session listens to. */
  onNotify?: () => void;
  /** Of the server, such as a statement_timeout. */
  settings?: Record<string, string | number>;
}

export interface Session {
  sql: Sql;
  /** The connection was closed, and with it the session's locks and what it listened to. */
  lost(): boolean;
  close(): Promise<void>;
}

const POOL_CONNECTIONS = 10;
export const COMMIT_CONNECTIONS = 2;
const IDLE_S = 60;
const CONNECT_TIMEOUT_S = 5;
const STATEMENT_TIMEOUT_MS = 10_000;
/** Callers wait for a group commit, and behind it others: for locks it waits less than for anything else. */
const COMMIT_SETTINGS = { statement_timeout: 3_000, lock_timeout: 1_000 };
/** The server ends a statement before that; only a commit that waits for a replica may take longer, and then nobody knows. */
const ANSWER_TIMEOUT_S = 15;
/**
 * So long a process that stops in the middle of a transaction keeps its locks: less than another needs to take over. No transaction waits for anything but its own
 * statements.
 */
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 4_000;
/** The pool lets go of an idle session after IDLE_S; of one that has stopped, the server does. */
const IDLE_SESSION_TIMEOUT_MS = 120_000;
/** A client that has gone without a word is noticed by then, and its locks are free. */
const KEEPALIVES = {
  tcp_keepalives_idle: 5,
  tcp_keepalives_interval: 2,
  tcp_keepalives_count: 3,
  tcp_user_timeout: 10_000,
};
/** On the session beside the pool an answer that comes later is of no use. */
const ASIDE_TIMEOUT_S = 2;
/** Something is asked on it every second: one that is idle is of a process that has stopped. */
const ASIDE_IDLE_TIMEOUT_MS = 5_000;
const CLOSE_TIMEOUT_S = 5;
const DEADLOCK_TRIES = 4;
const RECONNECT = { firstMs: 40, mostMs: 1_000 };
/** Seconds before each new try to connect; the library's own grows to twenty. */
const backoff = (tries: number) => backoffMs(Math.max(tries, 1), RECONNECT) / 1_000;

/** Opens lazily: the first statement connects. `url` is a libpq-style postgres:// URL; of several hosts the one that is primary is used. */
export function openDatabase(url: string, name: string): Database {
  const sql = connect(url, name, POOL_CONNECTIONS);
  const commits = connect(url, `${name}-commits`, COMMIT_CONNECTIONS, {
    settings: COMMIT_SETTINGS,
  });
  const session = (options: SessionOptions = {}) => openSession(url, `${name}-session`, options);
  const aside = createAside(url, `${name}-aside`);
  const pulse = createPulse({
    async ask() {
      await aside.session().sql`select 1`.catch((error: unknown) => {
        if (!(error instanceof postgres.PostgresError)) throw error;
      });
    },
    foundSilent() {
      // What was asked will find no answer, and what is asked next must not wait behind it.
      for (const each of [sql, commits]) each.hangUp();
    },
  });
  return {
    sql,
    commits,
    unlessSilent: pulse.unlessSilent,
    // postgres.js types a transaction's sql apart from the pool's; at run time it answers the same calls.
    transaction: (work) => sql.begin((tx) => work(tx as unknown as Sql)) as Promise<never>,
    aside: aside.session,
    session,
    async close() {
      await pulse.close();
      await Promise.all([aside.close(), ...[sql, commits].map((each) => each.end({ timeout: CLOSE_TIMEOUT_S }))]);
    },
  };
}

function openSession(url: string, name: string, options: SessionOptions): Session {
  let lost = false;
  const sql = connect(url, name, 1, {
    ...options,
    onClose: () => {
      lost = true;
    },
  });
  return { sql, lost: () => lost, close: () => sql.end({ timeout: CLOSE_TIMEOUT_S }) };
}

function createAside(url: string, name: string) {
  const heard = new Set<() => void>();
  let current: Session | undefined;
  const closing = new Set<Promise<void>>();
  const drop = () => {
    const ended = current?.close();
    current = undefined;
    if (ended) closing.add(ended.finally(() => closing.delete(ended)));
  };
  return {
    session(onNotify?: () => void): Session {
      if (onNotify) heard.add(onNotify);
      if (current?.lost()) drop();
      current ??= openSession(url, name, {
        answerTimeoutS: ASIDE_TIMEOUT_S,
        onNotify: () => {
          for (const each of heard) each();
        },
        // What it writes are leases: those that a crash or a failover forgets were held by sessions that it ended.
        settings: { synchronous_commit: "off", idle_session_timeout: ASIDE_IDLE_TIMEOUT_MS },
      });
      return current;
    },
    async close() {
      drop();
      await Promise.all(closing);
    },
  };
}

function connect(
  url: string,
  name: string,
  max: number,
  { answerTimeoutS = ANSWER_TIMEOUT_S, onNotify, settings, onClose }: SessionOptions & { onClose?: () => void } = {},
): Sql {
  const { url: plain, ssl } = withTls(url);
  return postgres(plain, {
    max,
    // The driver passes them on to node:tls; its types know fewer.
    ...(ssl !== undefined && { ssl: ssl as object }),
    idle_timeout: max === 1 ? 0 : IDLE_S,
    connect_timeout: CONNECT_TIMEOUT_S,
    answer_timeout: answerTimeoutS,
    ...(hostsOf(url).length > 1 && { target_session_attrs: "primary" }),
    max_lifetime: null,
    backoff,
    onnotice: () => {},
    ...(onClose && { onclose: onClose }),
    // The library's types leave this option out.
    ...(onNotify && ({ onnotify: onNotify } as object)),
    types: { bigint: postgres.BigInt },
    connection: {
      application_name: `bodega-${name}`,
      statement_timeout: STATEMENT_TIMEOUT_MS,
      idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_TIMEOUT_MS,
      idle_session_timeout: IDLE_SESSION_TIMEOUT_MS,
      ...KEEPALIVES,
      timezone: "UTC",
      ...settings,
    },
  });
}

/** SQLSTATE of an error that came from PostgreSQL, or the driver's own code, such as CONNECTION_CLOSED. */
export function errorCode(error: unknown): string | undefined {
  if (error instanceof Error && "code" in error && typeof error.code === "string") return error.code;
  return undefined;
}

/** Whether one statement took too long, or waited too long for a lock. The database may be well: then it is not an outage. */
export function isTooSlow(error: unknown): boolean {
  return /^(57014|55P03)$/.test(errorCode(error) ?? "");
}

/** What a rule in the database answered, such as a limit that only it can count: raised with this code, the reason as its detail. */
export function refusalIn(error: unknown): { reason: string; message: string } | undefined {
  if (!(error instanceof postgres.PostgresError) || error.code !== "BOREF") return undefined;
  return { reason: error.detail ?? "REFUSED", message: error.message };
}

/** Whether the database could not be asked, so that asking again later may work. 25006: it is a replica now, or not yet a primary. */
export function isOutage(error: unknown): boolean {
  const code = errorCode(error) ?? "";
  return /^(CONNECT|CONNECTION_|ECONN|ENOTFOUND|EPIPE|ENOENT|08|57P0|53|25P03|25006)/.test(code);
}

/**
 * Of transactions that wait for each other in a ring PostgreSQL ends one. Nothing of it is left, and the others are done soon: it is done again.
 */
export async function unlessDeadlocked<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (!isDeadlock(error) || tries === DEADLOCK_TRIES) throw error;
    }
  }
}

export function isDeadlock(error: unknown): boolean {
  return errorCode(error) === "40P01";
}

export function isUniqueViolation(error: unknown, constraint: string): boolean {
  return (
    errorCode(error) === "23505" && error instanceof postgres.PostgresError && error.constraint_name === constraint
  );
}
