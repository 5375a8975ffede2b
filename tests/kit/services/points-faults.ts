import { Code, ConnectError } from "@connectrpc/connect";
import { OrderPaid } from "../../../packages/api/facts.ts";
import { DecideHold, SettleHold } from "../../../packages/api/jobs.ts";
import type { System } from "../system.ts";

/** After so long points asks what became of a hold. */
export const IN_DOUBT_MS = 30_000;
/** How long nothing may stay in doubt once both sides are up. */
export const DOUBT_MS_MAX = 10_000;
export const OUTAGE_MS = 300_000;

/** A step of the two-phase commit that fails until it is mended. */
export interface Broken {
  mend(): Promise<unknown>;
  /** How often it has failed. */
  strikes(): Promise<number>;
}

export type Fault = (system: System) => Promise<Broken>;

// Every step of the protocol, from the first call to the last answer. What a database cannot do fails as if the server were going down:
// an outage, which nobody counts as an attempt.

export const FAULTS = {
  "the request to prepare is lost": async (system) => ofPrepare(system, async (_, lose) => lose()),
  "points cannot write the hold": (system) => ofTable(system, "points", "holds", "before insert", "true"),
  "the answer to prepare is lost": async (system) => ofPrepare(system, (prepare, lose) => prepare().then(lose)),
  "the coordinator dies before it decides": async (system) => ofDecision(system, async (_, lose) => lose()),
  "the decision does not commit": (system) =>
    ofTable(system, "order", "decisions", "at commit", "new.decision = 'COMMIT'"),
  "the decision is committed and its answer lost": async (system) =>
    ofDecision(system, (decide, lose) => decide().then(lose)),
  "nobody is told of the decision": async ({ platform }) =>
    patched((lose) =>
      patch(platform.events, "publish", (publish) => async (messages) => {
        if (messages.some(({ type }) => type === OrderPaid.type)) lose();
        await publish(messages);
      }),
    ),
  "points cannot carry it out": (system) => ofTable(system, "points", "holds", "before update", "true"),
  "facts are told twice": async ({ platform }) =>
    patched((_, strike) =>
      patch(platform.events, "publish", (publish) => (messages) => {
        strike();
        return publish([...messages, ...messages]);
      }),
    ),
  "jobs are sent twice": async ({ platform }) =>
    patched((_, strike) =>
      patch(platform.jobs, "send", (send) => (queue, messages) => {
        strike();
        return send(queue, [...messages, ...messages]);
      }),
    ),
  "the question does not get through": async (system) => ofJob(system, DecideHold.type),
  "the coordinator cannot answer the question": (system) =>
    ofTable(system, "order", "decisions", "before insert", "new.decision = 'ABORT'"),
  "the answer to the question does not get through": async (system) => ofJob(system, SettleHold.type),
} satisfies Record<string, Fault>;

export type FaultName = keyof typeof FAULTS;

type Lose = () => never;

/** Counts its strikes; `break` answers what mends. */
function patched(breakIt: (lose: Lose, strike: () => void) => () => void): Broken {
  let strikes = 0;
  const strike = () => {
    strikes += 1;
  };
  const mend = breakIt(() => {
    strike();
    throw new ConnectError("lost on the way", Code.Unavailable);
  }, strike);
  return { mend: async () => mend(), strikes: async () => strikes };
}

/** Replaces a function of an object that the system holds; answers what puts it back. */
function patch<T extends object, K extends keyof T>(object: T, name: K, replace: (original: T[K]) => T[K]): () => void {
  const original = object[name];
  object[name] = replace(original);
  return () => {
    object[name] = original;
  };
}

type Around = (step: () => Promise<unknown>, lose: Lose) => Promise<unknown>;

/** Stands between order and points' PrepareHold. */
export function ofPrepare(system: System, around: Around): Broken {
  return patched((lose) =>
    patch(system.app("order"), "call", (call) => (service, caller) => {
      const client = call(service, caller);
      const prepare: unknown = Reflect.get(client, "prepareHold");
      if (typeof prepare !== "function") return client;
      const prepareHold = (...asked: unknown[]) => around(() => Reflect.apply(prepare, client, asked), lose);
      return { ...client, prepareHold };
    }),
  );
}

/** Stands before the order's decision, and after it. */
export function ofDecision(system: System, around: Around): Broken {
  return patched((lose) =>
    patch(system.app("order"), "transactOnce", (transactOnce) => {
      const decide = (...call: Parameters<typeof transactOnce>) =>
        call[0].rpc.name === "PayWithPoints" ? around(() => transactOnce(...call), lose) : transactOnce(...call);
      return decide as typeof transactOnce; // What it answers is passed on as it is.
    }),
  );
}

/** The coordinator does not decide until it may. */
export function hesitating(system: System): { goOn(): void; mend(): Promise<unknown> } {
  const { promise: slow, resolve: goOn } = Promise.withResolvers<void>();
  const { mend } = ofDecision(system, (decide) => slow.then(decide));
  return { goOn, mend };
}

function ofJob({ platform }: System, type: string): Broken {
  return patched((lose) =>
    patch(platform.jobs, "send", (send) => async (queue, messages) => {
      if (messages.some((message) => message.type === type)) lose();
      await send(queue, messages);
    }),
  );
}

/** A table whose writes fail, at once or when their transaction commits. */
async function ofTable(system: System, service: string, table: string, when: string, which: string): Promise<Broken> {
  const { sql } = system.app(service);
  const name = `fails_${table}_${when.replace(" ", "_")}`;
  const [kind, timing, deferred] =
    when === "at commit"
      ? ["constraint trigger", "after insert", "deferrable initially deferred"]
      : ["trigger", when, ""];
  // A sequence does not roll back: it counts.
  await sql.unsafe(`
    create sequence ${name} start 1;
    create function ${name}() returns trigger language plpgsql as $$
      begin perform nextval('${name}'); raise exception 'going down' using errcode = '57P01'; end $$;
    create ${kind} ${name} ${timing} on ${table} ${deferred} for each row when (${which}) execute function ${name}()`);
  return {
    strikes: async () => {
      const [row] = await sql.unsafe<{ is_called: boolean; last_value: bigint }[]>(`select * from ${name}`);
      return row?.is_called ? Number(row.last_value) : 0;
    },
    mend: () => sql.unsafe(`drop trigger ${name} on ${table}; drop function ${name}(); drop sequence ${name}`),
  };
}
