import { expect, test } from "bun:test";
import { repeatsOf, type TopicAdmin } from "./kafka-topics.ts";

const DAY_MS = 86_400_000;

/** The admin of a Kafka whose topics are set so; it answers in text, as Kafka does. */
function adminOf(topics: Record<string, Record<string, string>>): Pick<TopicAdmin, "describeConfigs"> {
  return {
    async describeConfigs({ resources }) {
      return {
        resources: resources.map(({ name, configNames }) => ({
          resourceName: name,
          configEntries: configNames.map((configName) => ({
            configName,
            configValue: topics[name]?.[configName] ?? "",
          })),
        })),
      };
    },
  };
}

function topic(retentionDays: number, segmentDays: number, policy = "delete") {
  const ms = (days: number) => String(days < 0 ? days : days * DAY_MS);
  return { "retention.ms": ms(retentionDays), "segment.ms": ms(segmentDays), "cleanup.policy": policy };
}

test("a topic gives facts again until the segment around them is dropped, or for ever", async () => {
  const topics = { order: topic(30, 7), user: topic(-1, 7), stock: topic(10, 7, "compact"), mail: topic(10, 1, "compact,delete") }; // biome-ignore format: a table
  expect([...(await repeatsOf(adminOf(topics), Object.keys(topics)))]).toEqual([
    ["order", 37 * DAY_MS],
    ["user", Number.POSITIVE_INFINITY],
    ["stock", Number.POSITIVE_INFINITY],
    ["mail", 11 * DAY_MS],
  ]);
});

test("an answer without the retention is an error, and no retention of none", async () => {
  const admin = adminOf({ order: { "retention.ms": "forever", "segment.ms": "1", "cleanup.policy": "delete" } });
  expect(await repeatsOf(admin, ["order"]).catch(String)).toContain(
    "expected retention.ms and segment.ms of topic order",
  );
});
