import { expect, test } from "bun:test";
import { createLog } from "../telemetry/log.ts";
import { deliver, type Hand } from "./kafka-delivery.ts";

const quiet = createLog(() => {});

/** A batch of `count` messages, and what was said about it, in order. */
function handWith(count: number, changes: Partial<Hand> = {}) {
  const said: string[] = [];
  const messages = Array.from({ length: count }, (_, index) => ({
    key: "k",
    value: null,
    timestamp: "0",
    offset: String(100 + index),
  }));
  const hand: Hand = {
    batch: { topic: "order", partition: 1, messages },
    heartbeat: async () => {},
    resolveOffset: (offset) => said.push(`resolved ${offset}`),
    commitOffsetsIfNecessary: async ({ topics }) => {
      for (const { topic, partitions } of topics)
        for (const { partition, offset } of partitions) said.push(`committed ${topic}/${partition} ${offset}`);
    },
    isRunning: () => true,
    isStale: () => false,
    ...changes,
  };
  return { hand, said };
}

test("a batch is said to be done after the handler, in parts when it is large", async () => {
  const { hand, said } = handWith(201);
  const work = async (batch: unknown[]) => {
    said.push(`handled ${batch.length}`);
  };
  await deliver(hand, work, quiet, new AbortController().signal);
  expect(said).toEqual([
    ...["handled 200", "committed order/1 300", "resolved 299"],
    ...["handled 1", "committed order/1 301", "resolved 300"],
  ]);
});

test("a batch that is rejected comes again, and nothing is said about it before", async () => {
  const { hand, said } = handWith(2);
  let failures = 2;
  const work = async () => {
    said.push("called");
    if (failures-- > 0) throw new Error("not now");
  };
  await deliver(hand, work, quiet, new AbortController().signal);
  expect(said).toEqual(["called", "called", "called", "committed order/1 102", "resolved 101"]);
});

test("when the group gives the partition to another member, a rejected batch is left to it", async () => {
  const rebalancing = new Error("the group is rebalancing");
  const { hand, said } = handWith(2, { heartbeat: () => Promise.reject(rebalancing) });
  const work = () => Promise.reject(new Error("not now"));
  const delivered = deliver(hand, work, quiet, new AbortController().signal);
  await expect(delivered).rejects.toBe(rebalancing);
  expect(said).toEqual([]);
});

test("a commit that fails leaves the batch unresolved, so that it is fetched again", async () => {
  const { hand, said } = handWith(1, { commitOffsetsIfNecessary: () => Promise.reject(new Error("unknown member")) });
  await expect(deliver(hand, async () => {}, quiet, new AbortController().signal)).rejects.toThrow("unknown member");
  expect(said).toEqual([]);
});

test("what is left when the subscription closes stays for later", async () => {
  const closing = new AbortController();
  const { hand, said } = handWith(250);
  await deliver(hand, async () => closing.abort(), quiet, closing.signal);
  expect(said).toEqual(["committed order/1 300", "resolved 299"]);
});

test("a handler that takes long is not taken for dead: the member goes on saying that it lives", async () => {
  const beaten = Promise.withResolvers<void>();
  const { hand, said } = handWith(1, { heartbeat: async () => beaten.resolve() });
  await deliver(hand, () => beaten.promise, quiet, new AbortController().signal);
  expect(said).toHaveLength(2);
});
