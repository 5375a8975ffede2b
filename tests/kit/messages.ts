// Facts and jobs from and to a system under test, past the services that would send them.
import { create, type Message as Decoded, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { FactEnvelope } from "../../packages/api/envelope.ts";
import type { BodyInit, Fact, Job } from "../../packages/api/messages.ts";
import type { Tx } from "../../packages/service/app.ts";
import type { Message } from "../../packages/service/service.ts";
import type { System } from "./system.ts";

const SOURCE = "bodega/test";
const CARRIED = { traceparent: "00-11111111111111111111111111111111-2222222222222222-01", correlationId: "test" };

export interface Told {
  id: string;
  type: string;
  key: string;
  body: Decoded;
}

/** Every fact of these kinds that the system publishes from now on, in order. */
export async function collectFacts(system: System, facts: Fact[]): Promise<Told[]> {
  const told: Told[] = [];
  const kinds = new Map(facts.map((fact) => [fact.type, fact]));
  const topics = [...new Set(facts.map(({ topic }) => topic))];
  const probes = new Set<string>();
  const { promise: listening, resolve } = Promise.withResolvers<void>();
  system.platform.events.subscribe(`test-${system.random.id()}`, topics, async (batch) => {
    for (const { id, type, key, body } of batch) {
      const fact = kinds.get(type);
      if (probes.has(id)) resolve();
      else if (fact) told.push({ id, type, key, body: fromBinary(fact.schema, body) });
    }
  });
  // A group is known once it has read something: only then does settling wait for it.
  const [fact] = facts;
  if (!fact) throw new Error("expected at least one kind of fact to collect");
  const probe = factMessage(system, fact, {});
  probes.add(probe.id);
  await system.platform.events.publish([probe]);
  await listening;
  return told;
}

/** A fact as another service would tell it; publish the same message again for a duplicate. */
export function factMessage<F extends Fact>(system: System, fact: F, init: BodyInit<F>): FactEnvelope {
  // BodyInit ties the body to the fact's schema.
  const body = create(fact.schema, init as never);
  const { type, topic, schema } = fact;
  return {
    id: system.random.id(),
    type,
    topic,
    key: fact.key(body),
    source: SOURCE,
    time: system.clock.now(),
    body: toBinary(schema, body),
    ...CARRIED,
  };
}

export async function tell(system: System, ...messages: FactEnvelope[]): Promise<void> {
  await system.platform.events.publish(messages);
  await system.settle();
}

/** A job as another service would enqueue it. */
export async function ask<J extends Job>(
  system: System,
  job: J,
  init: BodyInit<J>,
  id = system.random.id(),
): Promise<void> {
  const body = create(job.schema, init as never);
  await system.platform.jobs.send(job.service, [
    {
      ...{ id, type: job.type, source: SOURCE, key: job.key(body), time: system.clock.now() },
      body: toBinary(job.schema, body),
      ...CARRIED,
    },
  ]);
  await system.settle();
}

/** A fact or a job as a handler gets it in `tx`: for tests that call one past the engine. */
export function received<B>(tx: Tx, body: B): Message<B> {
  const id = crypto.randomUUID();
  return { id, type: "", source: SOURCE, key: "", time: new Date(0), traceparent: "", correlationId: id, body, tx };
}

/** Resolves when the service has begun to hear: from then on settling waits for it. */
export async function hearing(system: System, service: string, message: FactEnvelope): Promise<void> {
  await system.platform.events.publish([message]);
  const { sql } = system.app(service);
  while ((await sql`select 1 from inbox where message_id = ${message.id}`).length === 0) await Bun.sleep(5);
}
