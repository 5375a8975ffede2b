import * as facts from "../../api/facts.ts";
import type { Sql } from "../../database/database.ts";
import { type Heard, listHearing, tellHearing } from "../../database/hearing.ts";
import type { Known } from "../../database/jobs.ts";
import type { Events, FactHandler, Subscription } from "../../events/events.ts";
import type { Log } from "../../telemetry/log.ts";
import { sleep } from "../../time/wait.ts";
import type { Service } from "../service.ts";

/** How often a process looks what others hear, and says what it hears itself. */
const LOOK_MS = 2_000;
const TELL_MS = 60_000;
/** Who has not said it for so long does not run any more. */
const GONE_MS = 10 * 60_000;
/** Who has not looked for so long cannot say what others hear. So long a process waits before it hears what none did before: then all know. */
const STALE_MS = 6_000;
/** A message without a type is nobody's, and must not vanish. */
const UNTYPED = "";

/** What the processes of a service hear, of whatever version they are. */
export interface Hearing {
  /** What this one can do in a transaction. Throws while it is not known what the others hear. */
  known(): Known;
  /** The same with its effects: all that it handles. */
  handled(): Known;
  /** Hears what any of them does. */
  subscribe(events: Events, receive: FactHandler): Subscription;
  close(): Promise<void>;
}

/**
 * Tells the other processes of the service which facts this one hears, and learns what they hear, so that what only a newer version knows is kept for it and not
 * passed over (docs/decisions/0037-two-versions-side-by-side.md). Resolves when all of them know.
 */
export async function shareHearing(
  { name, hears, does }: Pick<Service, "name" | "hears" | "does">,
  sql: Sql,
  log: Log,
  staleMs = STALE_MS,
): Promise<Hearing> {
  const named = hears.flatMap(({ fact }) => fact ?? []);
  const hearsAll = named.length < hears.length;
  if (hearsAll && hears.length > 1)
    throw new Error(`${name} hears facts of every type: it has one handler for all of them`);
  const own = (hearsAll ? Object.values(facts) : named).map(({ type, topic }) => ({ type, topic }));
  const jobs = [...does.flatMap((each) => ("handle" in each ? each.job.type : [])), UNTYPED];
  const withEffects = [...does.map(({ job }) => job.type), UNTYPED];
  const ownFacts = [...named.map(({ type }) => type), UNTYPED];

  let heard: Heard[] = own;
  let known = knowing();
  let lookedAt = performance.now();
  const closing = new AbortController();
  let moreTopics = (_topics: string[]) => {};
  if (own.length > 0) await arrive();
  const looking = own.length > 0 ? look() : undefined;

  async function arrive() {
    const others = await listHearing(sql, GONE_MS);
    await tellHearing(sql, own);
    const news = own.filter(({ type }) => !others.some((other) => other.type === type));
    if (others.length > 0 && news.length > 0) {
      log.info("hearing.more", { types: news.map(({ type }) => type).join(" "), wait_ms: staleMs });
      await sleep(staleMs);
    }
    await take();
  }

  async function take() {
    const at = performance.now();
    const before = topicsOf(heard);
    heard = [...own, ...(await listHearing(sql, GONE_MS))];
    known = knowing();
    lookedAt = at;
    const topics = topicsOf(heard);
    if (topics.some((topic) => !before.includes(topic))) moreTopics(topics);
  }

  async function look() {
    let toldAt = performance.now();
    for (let failing = false; ; ) {
      await sleep(LOOK_MS, closing.signal);
      if (closing.signal.aborted) return;
      try {
        if (performance.now() - toldAt >= TELL_MS) {
          await tellHearing(sql, own);
          toldAt = performance.now();
        }
        await take();
        failing = false;
      } catch (error) {
        if (!failing) log.warn("hearing.unknown", { error: String(error) });
        failing = true;
      }
    }
  }

  function knowing(): Known {
    const types = new Set([...heard.map(({ type }) => type), UNTYPED]);
    return { jobs, ...(!hearsAll && { facts: ownFacts }), heard: [...types] };
  }

  /** Put together after each look, not each time that it is asked for: every claim asks. */
  function current(): Known {
    if (own.length > 0 && performance.now() - lookedAt > staleMs)
      throw new Error(`expected to know what other processes of ${name} hear, had no answer for ${staleMs} ms`);
    return known;
  }

  return {
    known: current,
    handled: () => ({ ...current(), jobs: withEffects }),
    subscribe(events, receive) {
      const wanted = () => (hearsAll ? [] : current().heard);
      const begin = (topics: string[]) => events.subscribe(name, topics, receive, wanted);
      let subscription = begin(topicsOf(heard));
      let changing = Promise.resolve();
      moreTopics = (topics) => {
        changing = changing.then(async () => {
          await subscription.close();
          if (!closing.signal.aborted) subscription = begin(topics);
        });
      };
      return { close: () => changing.then(() => subscription.close()) };
    },
    async close() {
      closing.abort();
      await looking;
    },
  };
}

function topicsOf(heard: Heard[]): string[] {
  return [...new Set(heard.map(({ topic }) => topic))];
}
