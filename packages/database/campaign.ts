import type { Log } from "../telemetry/log.ts";
import { type Bell, createBell } from "../time/bell.ts";
import type { Database, Session, Sql } from "./database.ts";

/** A leader that is not heard of for so long has lost the lead. */
const LEASE_MS = 3_000;
/** How often a process is heard of, and looks for what nobody leads: one statement for all that it leads or would lead. */
export const BEAT_MS = 1_000;
const CHANNEL = "bodega_leaders";

/** The lead as it was won. Each statement that works under it asks whether it still lasts: `leads`. */
export interface Term {
  name: string;
  holder: string;
  epoch: bigint;
  /** False as soon as another may lead, and when the bell was closed. */
  alive(): boolean;
}

export interface Candidate {
  name: string;
  bell: Bell;
  term?: Term;
  /** By a clock of this process that goes on while the process is stopped. */
  goodUntil: number;
}

/** All that a process leads, or would lead, in one database: a session, and a statement a second. */
export interface Campaign {
  /** Rings the candidate's bell when it has a term. */
  stand(name: string, bell: Bell): Candidate;
  /** Lets go of the lead, if the candidate had it, and tells the others. */
  withdraw(candidate: Candidate): Promise<void>;
  /** The last to leave ends it. */
  leave(): Promise<void>;
}

const campaigns = new WeakMap<Database, { campaign: Campaign; members: number }>();

/** The campaign of this process in `database`, which the caller will leave. */
export function campaignIn(database: Database, log: Log): Campaign {
  const known = campaigns.get(database) ?? { campaign: startCampaign(database, log), members: 0 };
  campaigns.set(database, known);
  known.members += 1;
  return {
    ...known.campaign,
    async leave() {
      known.members -= 1;
      if (known.members > 0) return;
      campaigns.delete(database);
      await known.campaign.leave();
    },
  };
}

function startCampaign(database: Database, log: Log): Campaign {
  const holder = crypto.randomUUID();
  const candidates = new Set<Candidate>();
  const bell = createBell();
  /** It listens, and what this process leads is noted with it. */
  let known: Session | undefined;

  async function beat() {
    // Of two candidates of this process for one thing the later stands when the first has gone.
    const standing = new Map([...candidates].reverse().map((each) => [each.name, each]));
    if (standing.size === 0) return;
    const session = database.aside(bell.ring);
    if (session !== known) await session.sql.unsafe(`listen ${CHANNEL}`);
    const leadsAll = session === known && standing.values().every(({ term }) => term !== undefined);
    const sentAt = performance.now();
    const epochs = await (leadsAll ? hold : holdOrTake)(session.sql, holder, [...standing.keys()]);
    known = session;
    for (const [name, candidate] of standing) settle(candidate, epochs.get(name), sentAt + LEASE_MS);
  }

  function settle(candidate: Candidate, epoch: bigint | undefined, goodUntil: number) {
    const { name, term } = candidate;
    if (!candidates.has(candidate)) return;
    if (term && term.epoch !== epoch) {
      // It stands again when its work has ended.
      candidates.delete(candidate);
      candidate.goodUntil = Number.NEGATIVE_INFINITY;
      log.warn("leader.lost", { name });
    } else if (epoch !== undefined) {
      candidate.goodUntil = goodUntil;
      candidate.term ??= {
        ...{ name, holder, epoch },
        alive: () => performance.now() < candidate.goodUntil && !candidate.bell.closed(),
      };
      if (!term) candidate.bell.ring();
    }
  }

  async function run() {
    for (let failures = 0; !bell.closed(); ) {
      try {
        await beat();
        failures = 0;
      } catch (error) {
        failures += 1;
        if (failures === 1 && !bell.closed()) log.error("leader.unheard", error);
      }
      await bell.rung(BEAT_MS);
    }
  }
  const running = run();

  return {
    stand(name, own) {
      const candidate: Candidate = { name, bell: own, goodUntil: Number.NEGATIVE_INFINITY };
      candidates.add(candidate);
      bell.ring();
      return candidate;
    },
    async withdraw(candidate) {
      candidates.delete(candidate);
      if (!candidate.term) return;
      await letGo(database.aside().sql, candidate.term).catch((error: unknown) =>
        log.warn("leader.kept", { name: candidate.name, until: "its lease is over", error: String(error) }),
      );
    },
    async leave() {
      bell.close();
      await running;
    },
  };
}

/**
 * Holds what `holder` leads, and says under which epoch. Nearly every beat is this, which costs a quarter of looking for what nobody leads. Like all that the
 * session writes it waits for no synchronous standby, which may be away for longer than a lease.
 */
async function hold(sql: Sql, holder: string, names: string[]): Promise<Map<string, bigint>> {
  const rows = await sql<{ name: string; epoch: bigint }[]>`
    with held as materialized (
      select name from leaders where name = any(${names}) and holder = ${holder} order by name for update
    )
    update leaders l set held_until = clock_timestamp() + ${LEASE_MS} * interval '1 ms' from held
    where l.name = held.name returning l.name, l.epoch`;
  return new Map(rows.map(({ name, epoch }) => [name, epoch]));
}

/**
 * Holds what `holder` leads, takes what nobody leads, and says under which epoch. Nobody leads what was not heard of for the length of a lease, whose lease ends
 * further away than that because the server's clock was set back, or whose holder's session is gone.
 */
async function holdOrTake(sql: Sql, holder: string, names: string[]): Promise<Map<string, bigint>> {
  const rows = await sql<{ name: string; epoch: bigint }[]>`
    with open as (
      select name, coalesce(epoch, 0) as seen, coalesce(holder = ${holder}, false) as mine
      from unnest(${names}::text[]) as name left join leaders using (name)
      where holder is null or holder = ${holder}
        or held_until not between clock_timestamp() and clock_timestamp() + ${LEASE_MS} * interval '1 ms'
        or not exists (
          select from pg_stat_get_activity(session_pid) as a where a.backend_start is null or a.backend_start = session_start)
    )
    insert into leaders as l (name, epoch, holder, held_until, session_pid, session_start)
    select name, case when mine then seen else seen + 1 end, ${holder}, clock_timestamp() + ${LEASE_MS} * interval '1 ms', pid, backend_start
    from open, pg_stat_get_activity(pg_backend_pid()) order by name
    on conflict (name) do update
    set epoch = excluded.epoch, holder = excluded.holder, held_until = excluded.held_until,
      session_pid = excluded.session_pid, session_start = excluded.session_start
    where (l.holder = excluded.holder and l.epoch = excluded.epoch) or l.epoch = excluded.epoch - 1
    returning name, epoch`;
  return new Map(rows.map(({ name, epoch }) => [name, epoch]));
}

async function letGo(sql: Sql, { name, holder, epoch }: Term): Promise<void> {
  await sql`
    with free as (
      update leaders set held_until = '-infinity' where name = ${name} and holder = ${holder} and epoch = ${epoch} returning name
    ) select pg_notify(${CHANNEL}, name) from free`;
}
