import { expect, test } from "bun:test";
import { type ClusterAdmin, inspectKafka } from "./kafka-inspect.ts";

interface Cluster {
  leader?: number;
  isr?: readonly number[];
  members?: number;
  /** Where the topic's only partition ends. */
  end?: number;
}

/** The admin of three brokers with topic order, and the group bodega.mail that has handled 5 facts of it. */
function adminOf({ leader = 1, isr = [1, 2, 3], members = 1, end = 5 }: Cluster): ClusterAdmin {
  const settings: Record<string, string> = {
    "retention.ms": "1000",
    "segment.ms": "500",
    "cleanup.policy": "delete",
  };
  const entries = (names: string[]) =>
    names.map((configName) => ({ configName, configValue: settings[configName] ?? "" }));
  return {
    describeCluster: async () => ({ brokers: [{ nodeId: 1 }, { nodeId: 2 }, { nodeId: 3 }] }),
    fetchTopicMetadata: async ({ topics }) => ({
      topics: topics.map((name) => ({
        name,
        partitions: [{ partitionId: 0, leader, replicas: [1, 2, 3], isr: [...isr] }],
      })),
    }),
    describeConfigs: async ({ resources }) => ({
      resources: resources.map(({ name, configNames }) => ({
        resourceName: name,
        configEntries: entries(configNames),
      })),
    }),
    describeGroups: async (groupIds) => ({
      groups: groupIds.map((groupId) => ({ groupId, state: "Stable", members: Array(members).fill({}) })),
    }),
    fetchOffsets: async ({ topics }) => topics.map((topic) => ({ topic, partitions: [{ partition: 0, offset: "5" }] })),
    fetchTopicOffsets: async () => [{ partition: 0, high: String(end), low: "0" }],
  };
}

const inspect = (cluster: Cluster) => inspectKafka(adminOf(cluster), new Map([["bodega.mail", new Set(["order"])]]));

test("a Kafka that is well is told with its topics, their copies and retention, and its groups", async () => {
  expect(await inspect({ end: 8 })).toEqual({
    found: "Kafka, 3 brokers, 1 topic, 1 group, 3 facts not heard yet",
    figures: {
      adapter: "kafka",
      brokers: [1, 2, 3],
      topics: [{ topic: "order", partitions: 1, underReplicated: 0, leaderless: 0, retentionMs: 1_000 }],
      groups: [{ group: "bodega.mail", state: "Stable", members: 1, lag: 3 }],
    },
    troubles: [],
  });
});

for (const [what, cluster, says] of [
  ["a partition without a leader", { leader: -1, isr: [] }, "topic order: 1 of 1 partition without a leader"],
  ["a copy that is behind", { isr: [1, 2] }, "topic order: 1 of 1 partition with fewer copies"],
  ["a group without members", { members: 0 }, "group bodega.mail has no members"],
  ["a group that does not keep up", { end: 20_000 }, "group bodega.mail is 19995 facts behind"],
] as const)
  test(`${what} is a trouble, with what to do`, async () => {
    const { troubles } = await inspect({ ...cluster });
    expect(troubles).toEqual([{ says: expect.stringContaining(says), fix: expect.stringMatching(/\w{4}/) }]);
  });
