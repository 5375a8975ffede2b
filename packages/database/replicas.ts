import { unlessLate } from "../time/wait.ts";
import { type Database, openDatabase, type Sql } from "./database.ts";
import { hostsOf } from "./url.ts";

/** Copies of a database that lag a little behind it: for what is shown, never for what is decided. */
export interface Replicas {
  /** Where the primary's log ends now: what was committed before lies below it. */
  position(): Promise<bigint>;
  /** A copy that shows everything below `position` and what the primary had a moment ago; undefined when there is none. */
  at(position: bigint): Promise<Sql | undefined>;
  /** Leaves this copy alone for a while. */
  avoid(copy: Sql): void;
  /** How each copy is, without who may read it. */
  states(): Promise<CopyState[]>;
  close(): Promise<void>;
}

export interface CopyState {
  /** host:port, or several. */
  at: string;
  /** Of the primary's log; null of one that does not say, or is none. */
  behindBytes: number | null;
}

/** No copy is read that has not seen what the primary had this long ago. */
const LAG_MS_MAX = 1_000;
const AVOIDED_MS = 2_000;
/** A copy that is asked how far it is and does not say is passed over. */
const ANSWER_MS_MAX = 500;
/** Who asks how it is can wait until it is connected. */
const STATE_MS_MAX = 3_000;

interface Copy {
  at: string;
  database: Database;
  /** What it has shown to have replayed. */
  replayed: bigint;
  avoidedUntil: number;
}

/** `urls` are of the copies, `primary` is asked for its position at most once a second. `nowMs` is a monotonic clock. */
export function openReplicas(urls: string[], name: string, primary: Sql, nowMs: () => number): Replicas {
  const copies = urls.map(
    (url): Copy => ({ at: hostsOf(url).join(","), database: openDatabase(url, name), replayed: 0n, avoidedUntil: 0 }),
  );
  let turn = 0;
  let known = { position: 0n, askedAt: Number.NEGATIVE_INFINITY };
  let asking: Promise<void> | undefined;

  async function position(): Promise<bigint> {
    const [row] = await primary<{ lsn: bigint }[]>`select (pg_current_wal_insert_lsn() - '0/0')::int8 as lsn`;
    return row?.lsn ?? 0n;
  }

  /** What the primary had when it was last asked. While it cannot be asked, copies go on showing what they have. */
  async function recent(): Promise<bigint> {
    if (nowMs() - known.askedAt > LAG_MS_MAX) {
      const askedAt = nowMs();
      asking ??= position()
        .then(
          (now) => {
            known = { position: now, askedAt };
          },
          () => {
            known = { ...known, askedAt };
          },
        )
        .finally(() => {
          asking = undefined;
        });
      await unlessLate(ANSWER_MS_MAX, asking);
    }
    return known.position;
  }

  async function shows(copy: Copy, wanted: bigint): Promise<boolean> {
    if (copy.replayed >= wanted) return true;
    const lsn = await replayedBy(copy, ANSWER_MS_MAX);
    if (lsn === undefined) copy.avoidedUntil = nowMs() + AVOIDED_MS;
    copy.replayed = lsn ?? 0n;
    return copy.replayed >= wanted;
  }

  return {
    position,
    async at(least) {
      const now = await recent();
      const wanted = least > now ? least : now;
      turn += 1;
      for (let index = 0; index < copies.length; index++) {
        const copy = copies[(turn + index) % copies.length];
        if (copy && copy.avoidedUntil <= nowMs() && (await shows(copy, wanted))) return copy.database.sql;
      }
      return undefined;
    },
    avoid(sql) {
      for (const copy of copies) if (copy.database.sql === sql) copy.avoidedUntil = nowMs() + AVOIDED_MS;
    },
    async states() {
      const end = await position();
      return Promise.all(
        copies.map(async (copy) => {
          const lsn = await replayedBy(copy, STATE_MS_MAX);
          return { at: copy.at, behindBytes: lsn === undefined ? null : Number(end > lsn ? end - lsn : 0n) };
        }),
      );
    },
    close: async () => {
      await Promise.all(copies.map(({ database }) => database.close()));
    },
  };
}

/** Undefined of one that is silent, away, or a primary itself by now. */
function replayedBy({ database }: Copy, msMax: number): Promise<bigint | undefined> {
  const asked = database.sql<{ lsn: bigint | null }[]>`
    select (pg_last_wal_replay_lsn() - '0/0')::int8 as lsn where pg_is_in_recovery()`;
  return unlessLate(
    msMax,
    asked.then(
      ([row]) => row?.lsn ?? undefined,
      () => undefined,
    ),
  );
}
