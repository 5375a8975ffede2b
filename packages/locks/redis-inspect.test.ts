import { expect, test } from "bun:test";
import { inspectRedis } from "./redis-inspect.ts";

/** What a node answers to INFO, with these lines besides. */
function info(fields: Record<string, string | number> = {}): string {
  const told = { redis_version: "7.4.1", role: "master", used_memory: 1_048_576, maxmemory: 0, ...fields };
  const lines = Object.entries({ maxmemory_policy: "noeviction", ...told }).map(([name, value]) => `${name}:${value}`);
  return ["# Server", ...lines, ""].join("\r\n");
}

const replica = (link: string) => info({ role: "slave", master_link_status: link });
const WELL = "cluster_state:ok\r\ncluster_slots_ok:16384\r\n";
const says = (...asked: Parameters<typeof inspectRedis>) => inspectRedis(...asked).troubles.map(({ says }) => says);

test("a Redis that is well is told with its version, its role, and what it does when it is full", () => {
  expect(inspectRedis([info({ maxmemory: 10_485_760 })])).toEqual({
    found: "Redis 7.4.1, 1 primary, 0 replicas, 1.0 MiB used, evicts: noeviction",
    figures: {
      adapter: "redis",
      nodes: [
        {
          version: "7.4.1",
          role: "master",
          link: null,
          usedBytes: 1_048_576,
          maxBytes: 10_485_760,
          evicts: "noeviction",
        },
      ],
      silent: 0,
      cluster: null,
    },
    troubles: [],
  });
  const { found, troubles } = inspectRedis([info(), replica("up")], WELL);
  expect([found, troubles]).toEqual([expect.stringContaining("Redis Cluster 7.4.1, 1 primary, 1 replica"), []]);
});

test("what is not well is a trouble: a full memory, a replica in place of a primary, one that is cut off, a Cluster in pieces", () => {
  expect(says([info({ used_memory: 10_000_000, maxmemory: 10_485_760 })])).toEqual(["9.5 MiB of 10.0 MiB are used"]);
  expect(says([replica("up")])).toEqual(["this Redis is a replica and takes no locks"]);
  expect(says([info(), replica("down")], WELL)).toEqual([expect.stringContaining("does not follow its primary")]);
  expect(says([info(), undefined], WELL)).toEqual(["1 node of the Cluster without an answer"]);
  expect(says([info()], "cluster_state:fail\r\ncluster_slots_ok:10922\r\n")).toEqual([
    "the Cluster is fail: 10922 of 16384 slots are served",
  ]);
});
