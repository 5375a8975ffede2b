/** What is asked here of the driver's admin client. */
export interface TopicAdmin {
  describeConfigs(asked: {
    resources: { type: typeof TOPIC; name: string; configNames: string[] }[];
    includeSynonyms: boolean;
  }): Promise<{ resources: { resourceName: string; configEntries: { configName: string; configValue: string }[] }[] }>;
  fetchOffsets(asked: {
    groupId: string;
    topics: string[];
  }): Promise<{ topic: string; partitions: { partition: number; offset: string }[] }[]>;
  fetchTopicOffsets(topic: string): Promise<{ partition: number; high: string; low: string }[]>;
}

/** Kafka's number for this kind of resource. */
const TOPIC = 2;
const RETENTION = "retention.ms";
const SEGMENT = "segment.ms";
const CLEANUP = "cleanup.policy";

/** How long each topic can give a fact again: it drops a segment whole, when the youngest fact in it is old enough. */
export async function repeatsOf(
  admin: Pick<TopicAdmin, "describeConfigs">,
  topics: string[],
): Promise<Map<string, number>> {
  const retentions = await retentionsOf(admin, topics);
  return new Map(
    Array.from(retentions, ([topic, { retentionMs, segmentMs }]) => [
      topic,
      retentionMs === undefined ? Number.POSITIVE_INFINITY : retentionMs + segmentMs,
    ]),
  );
}

interface Retention {
  /** Left out where the topic drops nothing by age. */
  retentionMs: number | undefined;
  segmentMs: number;
}

export async function retentionsOf(
  admin: Pick<TopicAdmin, "describeConfigs">,
  topics: string[],
): Promise<Map<string, Retention>> {
  const configNames = [RETENTION, SEGMENT, CLEANUP];
  const resources = topics.map((name) => ({ type: TOPIC, name, configNames }) as const);
  const found = await admin.describeConfigs({ resources, includeSynonyms: false });
  return new Map(
    found.resources.map(({ resourceName, configEntries }) => {
      const value = (name: string) => configEntries.find(({ configName }) => configName === name)?.configValue;
      const [retentionMs, segmentMs] = [Number(value(RETENTION)), Number(value(SEGMENT))];
      if (!Number.isInteger(retentionMs) || !Number.isInteger(segmentMs))
        throw new Error(
          `expected ${RETENTION} and ${SEGMENT} of topic ${resourceName}, found ${JSON.stringify(configEntries)}`,
        );
      const drops = retentionMs >= 0 && value(CLEANUP)?.includes("delete");
      return [resourceName, { retentionMs: drops ? retentionMs : undefined, segmentMs }];
    }),
  );
}

/** How many facts of the topics the group has not handled. */
export async function lagOf(
  admin: Pick<TopicAdmin, "fetchOffsets" | "fetchTopicOffsets">,
  groupId: string,
  topics: string[],
): Promise<number> {
  const committed = await admin.fetchOffsets({ groupId, topics });
  const lags = committed.map(async ({ topic, partitions }) => {
    const ends = await admin.fetchTopicOffsets(topic);
    return ends.map(({ partition, high, low }) => {
      const offset = Number(partitions.find((each) => each.partition === partition)?.offset ?? -1);
      return Number(high) - Math.max(offset, Number(low));
    });
  });
  return (await Promise.all(lags)).flat().reduce((sum, lag) => sum + lag, 0);
}
