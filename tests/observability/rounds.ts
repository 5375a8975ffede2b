// The faults. Those of one round are made together, because none of them makes what another one is about.
import type { Watch } from "./busy.ts";
import { crowd } from "./crowd.ts";
import { holdTimers, mailsInHands, takeConnections, tellTwice } from "./database-faults.ts";
import { type FaultShop, stutter } from "./fault-shop.ts";
import type { RedisServer } from "./redis-server.ts";
import type { Shop } from "./shop.ts";

export interface Broken {
  place: FaultShop;
  shop: Shop;
  /** undefined where none is installed. */
  redis: RedisServer | undefined;
  watch: Watch;
  /** Has Prometheus ask these processes from now on. */
  scrape(opsPorts: string[]): void;
}

export interface Fault {
  what: string;
  /** Fire while it lasts. */
  alerts: string[];
  /** Fire when it is over: what came late is measured when it comes. */
  later?: string[];
  /** May fire besides: what follows from it, as it comes. */
  follows?: string[];
  /** At least, where what comes of it later must be much. */
  lastsMs?: number;
  /** Why it cannot be made on this machine. */
  impossible?(broken: Broken): string | undefined;
  /** Gives back its end. */
  make(broken: Broken): Promise<() => unknown>;
}

/** What is late, or refused, when nothing gets on. */
const STANDSTILL = [
  ...["OutboxBehind", "JobsBehind", "CanaryMissing", "CanaryBurns", "StockFreshnessBurns", "StatisticsFreshnessBurns"],
  ...["MailDeliveryBurns", "PlacingLatencyBurns", "PlacingAvailabilityBurns", "BrokerAway"],
];

const MANY_JOBS = 10_500;
const SLOW_MAIL_MS = 1_500;
/** It fires after ten seconds; what is over before anybody is told, is told to nobody. */
const TO_BE_MAILED_MS = 25_000;
/** More than an order may take to be placed, and less than a database may be silent. */
const SLOW_ANSWER_MS = 300;
const AHEAD_MS = 3_000;
const DAYS_LEFT = 5;
const MAILS = 5;
/** Of the two minutes that a goal looks back on, so that more than a seventh of all facts is late, though people can do less meanwhile. */
const BROKER_AWAY_MS = 50_000;
/** Stopped for longer than the alert says, and then let go for long enough to do its work: who is only starved cannot be asked how it is. */
const [STOPPED_MS, GOING_MS] = [650, 450];
/** A lease is fifteen seconds. */
const FROZEN_MS = 19_000;

export const ROUNDS: Fault[][] = [
  // First, for the pager is told of it alone: what goals remember of other faults is not there yet.
  [
    {
      what: "a database that does not answer",
      alerts: ["DatabaseAway", "PlacingAvailabilityBurns"],
      follows: STANDSTILL,
      async make({ place: { ways } }) {
        const both = [ways.database, ways.broker];
        for (const way of both) way.swallow();
        return () => {
          for (const way of both) way.pass();
        };
      },
    },
  ],
  [
    {
      what: "a fact that nobody can read",
      alerts: ["MessagesParked"],
      async make({ shop }) {
        await shop.poison();
        return shop.discard;
      },
    },
    {
      what: "a provider that has taken another sum than we know of",
      alerts: ["ReconciliationDiffers"],
      async make({ place, shop }) {
        const { sql } = place.database("payment");
        const add = (amount: number) =>
          sql`update provider_checkouts set amount_minor_units = amount_minor_units + ${amount} where outcome = 'captured'`;
        await add(1);
        await shop.reconcile();
        return async () => {
          await add(-1);
          await shop.reconcile();
        };
      },
    },
    {
      what: "a Redis that was killed",
      alerts: ["RedisAway"],
      impossible: ({ redis }) => (redis ? undefined : "redis-server is not installed"),
      async make({ redis }) {
        await redis?.kill();
        return redis?.start ?? (() => {});
      },
    },
    {
      what: `a certificate that ends in ${DAYS_LEFT} days`,
      alerts: ["CertificateExpires"],
      async make({ place: { certificate } }) {
        await certificate.show(DAYS_LEFT);
        return () => certificate.show();
      },
    },
    {
      what: "a replication slot that nobody reads",
      alerts: ["SlotBehind"],
      async make({ place: { root } }) {
        await root.sql`select pg_create_physical_replication_slot('nobody', true)`;
        return () => root.sql`select pg_drop_replication_slot('nobody')`;
      },
    },
    {
      what: "a program that takes nearly all connections of PostgreSQL",
      alerts: ["DatabaseStrained"],
      make: ({ place }) => takeConnections(place),
    },
    {
      what: "a disk that is nearly full",
      alerts: ["DiskFull"],
      impossible: ({ place }) => (place.disk.mounted ? undefined : "this user may not mount a disk"),
      async make({ place: { disk } }) {
        await disk.fill();
        return disk.empty;
      },
    },
    {
      what: `a machine whose clock is ${AHEAD_MS / 1_000} s ahead`,
      alerts: ["ClockOff"],
      async make({ place }) {
        place.setClock(AHEAD_MS);
        return () => place.setClock(0);
      },
    },
    {
      what: "thousands of jobs for a service that nobody runs",
      alerts: ["BrokerStrained"],
      async make({ place }) {
        const { sql } = place.database("broker");
        await sql`
          insert into queued (queue, id, type, key, body, traceparent, request_id)
          select 'nobody', gen_random_uuid(), 'nobody.knows', '', '', '', '' from generate_series(1, ${MANY_JOBS}::int)`;
        return () => sql`delete from queued where queue = 'nobody'`;
      },
    },
    {
      what: "a mail server that takes its time for each word",
      alerts: ["MailDeliveryBurns"],
      follows: ["JobsBehind"],
      async make({ place: { ways } }) {
        ways.mail.delayAnswers(SLOW_MAIL_MS);
        return ways.mail.pass;
      },
    },
  ],
  [
    {
      what: "a teller that tells a sum twice",
      alerts: ["CanaryDoubled"],
      make: ({ place }) => tellTwice(place),
    },
    {
      what: "a forgotten transaction that holds timers which are due",
      alerts: ["JobsBehind"],
      later: ["TimersOnTimeBurns"],
      // What waited for the slow mail server of the round before is told of when it is handed over.
      follows: ["MailDeliveryBurns"],
      make: ({ place }) => holdTimers(place),
    },
  ],
  [
    {
      what: "a broker that does not answer",
      alerts: ["BrokerAway", "OutboxBehind", "CanaryMissing", "CanaryBurns"],
      later: ["StockFreshnessBurns", "StatisticsFreshnessBurns"],
      // Nobody is rung for a timer then: it is found by who looks once a second, and of the ten seconds of these orders one is real.
      follows: ["JobsBehind", "MailDeliveryBurns", "TimersOnTimeBurns"],
      lastsMs: BROKER_AWAY_MS,
      async make({ place: { ways } }) {
        ways.broker.swallow();
        return ways.broker.pass;
      },
    },
  ],
  [
    {
      what: "a crowd that begins calls and does not end them",
      alerts: ["ManyRefused"],
      // The canary's probe is refused with the others.
      follows: ["CanaryMissing", "CanaryBurns"],
      lastsMs: TO_BE_MAILED_MS,
      make: async ({ place }) => crowd(place.edge),
    },
  ],
  [
    {
      what: "a machine that has too much else to do",
      alerts: ["EventLoopBlocked"],
      lastsMs: TO_BE_MAILED_MS,
      follows: [...STANDSTILL, "ClaimsLost", "RedisAway", "ServiceDown"],
      make: async ({ place }) => stutter(place.first, STOPPED_MS, GOING_MS),
    },
  ],
  [
    {
      what: "a database that takes its time for each answer",
      alerts: ["PlacingLatencyBurns"],
      follows: [...STANDSTILL, "TimersOnTimeBurns"],
      async make({ place: { ways } }) {
        ways.database.delayAnswers(SLOW_ANSWER_MS);
        return ways.database.pass;
      },
    },
  ],
  [
    {
      what: "a process that is frozen for longer than its leases, with mails in its hands",
      alerts: ["ServiceDown"],
      later: ["ClaimsLost"],
      follows: STANDSTILL,
      async make({ place, shop, scrape }) {
        const other = await place.startOther();
        scrape([place.opsPort, other.opsPort]);
        place.ways.mail.swallow();
        while ((await mailsInHands(place)) < MAILS) await shop.place();
        process.kill(place.first.pid, "SIGSTOP");
        const frozen = Bun.sleep(FROZEN_MS);
        return async () => {
          await frozen;
          process.kill(place.first.pid, "SIGCONT");
          place.ways.mail.pass();
        };
      },
    },
  ],
];
