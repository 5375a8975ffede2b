import { expect } from "bun:test";
import { randomUUID } from "node:crypto";
import { eventually } from "../../tests/kit/eventually.ts";
import { promisesOf, type Skip } from "../../tests/kit/promise.ts";
import type { FactEnvelope } from "../api/envelope.ts";
import { INBOX_DAYS } from "../database/inbox.ts";
import type { Events } from "./events.ts";

/** What every adapter of the events port owes. `skip` names tests an adapter cannot pass, with the reason. */
export function eventsContract(
  name: string,
  open: () => Promise<{ events: Events; reopen(): Promise<Events> }>,
  skip?: Skip,
): void {
  const check = promisesOf("events", name, skip);

  check("every group gets every fact, whole", async () => {
    const { events } = await open();
    const [sent] = facts("order", "k", 1);
    await events.publish([sent]);
    const groups = ["a", "b"].map((group) => collect(events, group, ["order"]));
    await eventually(() => groups.every(({ got }) => got.length === 1));
    for (const { got } of groups) expect(got).toEqual([sent]);
    await events.close();
  });

  check("it says of the topics that are heard how long their facts may come again, which inboxes outlast", async () => {
    const { events } = await open();
    expect([...(await events.repeatMs())]).toEqual([]);
    collect(events, "a", ["order"]);
    collect(events, "b", ["order", "stock"]);
    const repeats = [...(await events.repeatMs())];
    expect(repeats.map(([topic]) => topic.split(".").at(-1))).toEqual(["order", "stock"]);
    for (const [, ms] of repeats) {
      expect(ms).toBeGreaterThan(0);
      expect(ms).toBeLessThan(INBOX_DAYS * 86_400_000);
    }
    await events.close();
  });

  check("it says how it is: each group and how far behind it is, and nothing is wrong when all is heard", async () => {
    const { events } = await open();
    const release = Promise.withResolvers<void>();
    events.subscribe("a", ["order"], () => release.promise);
    await events.publish(facts("order", "k", 3));
    const lags = async () => {
      const { figures, troubles } = await events.inspect();
      const { groups } = figures as { groups: { group: string; lag: number }[] };
      return [
        ...groups.map(({ group, lag }) => `${group.split(".").at(-1)} ${lag}`),
        ...troubles.map(({ says }) => says),
      ];
    };
    await eventually(async () => String(await lags()) === "a 3");
    release.resolve();
    await eventually(async () => String(await lags()) === "a 0");
    await events.close();
  });

  check("a group gets only its topics", async () => {
    const { events } = await open();
    const { got } = collect(events, "a", ["order"]);
    await events.publish([...facts("stock", "k", 3), ...facts("order", "k", 1)]);
    await eventually(() => got.length >= 1 && events.undelivered().then((count) => count === 0));
    expect(got.map(({ topic }) => topic)).toEqual(["order"]);
    await events.close();
  });

  check("a group that names types gets only those, and has the others behind it", async () => {
    const { events } = await open();
    const got: FactEnvelope[] = [];
    const handler = async (batch: FactEnvelope[]) => void got.push(...batch);
    events.subscribe("a", ["order"], handler, () => ["order.paid", ""]);
    const [created, paid, untyped, last] = facts("order", "k", 4) as [
      FactEnvelope,
      FactEnvelope,
      FactEnvelope,
      FactEnvelope,
    ];
    await events.publish([created, { ...paid, type: "order.paid" }, { ...untyped, type: "" }, last]);
    await eventually(() => got.length >= 2 && events.undelivered().then((count) => count === 0));
    expect(got.map(({ id, type }) => [id, type])).toEqual([
      [paid.id, "order.paid"],
      [untyped.id, ""],
    ]);
    await events.close();
  });

  check("facts of one key keep their order, also when published by many at once", async () => {
    const { events } = await open();
    const keys = ["x", "y", "z"];
    const { got } = collect(events, "a", ["order"]);
    await Promise.all(
      keys.map(async (key) => {
        for (const fact of facts("order", key, 40)) await events.publish([fact]);
      }),
    );
    await eventually(() => got.length >= 120);
    for (const key of keys) {
      const bodies = got.filter((fact) => fact.key === key).map(({ body }) => body[0]);
      expect(bodies).toEqual(Array.from({ length: 40 }, (_, index) => index));
    }
    await events.close();
  });

  check("a batch whose handler rejects is delivered again, and nothing after it is lost", async () => {
    const { events } = await open();
    const got: string[] = [];
    let failures = 2;
    events.subscribe("a", ["order"], async (batch) => {
      if (failures-- > 0) throw new Error("not now");
      got.push(...batch.map(({ id }) => id));
    });
    const sent = facts("order", "k", 10);
    await events.publish(sent);
    await eventually(() => got.length >= 10);
    expect(got).toEqual(sent.map(({ id }) => id));
    await events.close();
  });

  check("two members of a group share the facts, and none is left over", async () => {
    const { events } = await open();
    const members = [collect(events, "a", ["order"]), collect(events, "a", ["order"])];
    const sent = facts("order", "k", 50);
    await events.publish(sent);
    const ids = () => new Set(members.flatMap(({ got }) => got.map(({ id }) => id)));
    await eventually(() => ids().size >= 50);
    expect(ids()).toEqual(new Set(sent.map(({ id }) => id)));
    await events.close();
  });

  check("a restart loses nothing: what was not delivered comes, what was does not", async () => {
    const { events, reopen } = await open();
    const before = collect(events, "a", ["order"]);
    const [first, second] = facts("order", "k", 2) as [FactEnvelope, FactEnvelope];
    await events.publish([first]);
    await eventually(async () => before.got.length === 1 && (await events.undelivered()) === 0);
    await events.close();
    const again = await reopen();
    await again.publish([second]);
    const after = collect(again, "a", ["order"]);
    await eventually(() => after.got.length >= 1);
    expect(after.got.map(({ id }) => id)).toEqual([second.id]);
    await again.close();
  });

  check("close waits for the handler that runs", async () => {
    const { events } = await open();
    let state = "idle";
    const started = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    events.subscribe("a", ["order"], async () => {
      state = "running";
      started.resolve();
      await release.promise;
      state = "done";
    });
    await events.publish(facts("order", "k", 1));
    await started.promise;
    const closing = events.close();
    expect(state).toBe("running");
    release.resolve();
    await closing;
    expect(state).toBe("done");
  });
}

function collect(events: Events, group: string, topics: string[]) {
  const got: FactEnvelope[] = [];
  events.subscribe(group, topics, async (batch) => {
    got.push(...batch);
  });
  return { got };
}

function facts(topic: string, key: string, count: number): [FactEnvelope, ...FactEnvelope[]] {
  const make = (index: number): FactEnvelope => ({
    id: randomUUID(),
    type: `${topic}.created`,
    topic,
    key,
    source: "bodega/test",
    time: new Date("2026-01-05T08:00:00.123Z"),
    body: Buffer.from([index]),
    traceparent: `00-${"a".repeat(32)}-${"b".repeat(16)}-01`,
    correlationId: `request-${index}`,
  });
  return [make(0), ...Array.from({ length: count - 1 }, (_, index) => make(index + 1))];
}
