import { counted, type Inspection, type Trouble } from "../telemetry/inspection.ts";
import { lagOf, retentionsOf, type TopicAdmin } from "./kafka-topics.ts";

/** What is asked here of the driver's admin client. */
export interface ClusterAdmin extends TopicAdmin {
  describeCluster(): Promise<{ brokers: { nodeId: number }[] }>;
  fetchTopicMetadata(asked: { topics: string[] }): Promise<{ topics: { name: string; partitions: Partition[] }[] }>;
  describeGroups(groupIds: string[]): Promise<{ groups: { groupId: string; state: string; members: unknown[] }[] }>;
}

interface Partition {
  partitionId: number;
  /** A broker's number; below 0 when there is none. */
  leader: number;
  replicas: number[];
  isr: number[];
}

interface Topic {
  topic: string;
  partitions: number;
  underReplicated: number;
  leaderless: number;
  /** null is for ever. */
  retentionMs: number | null;
}

interface Group {
  group: string;
  state: string;
  members: number;
  lag: number;
}

/** What comes in minutes lies behind for a moment; more than this is a group that does not keep up. */
const LAG_MAX = 10_000;

/** The cluster, and of it the groups of this process with their topics. */
export async function inspectKafka(admin: ClusterAdmin, wanted: Map<string, Set<string>>): Promise<Inspection> {
  const names = [...new Set([...wanted.values()].flatMap((topics) => [...topics]))].sort();
  const { brokers } = await admin.describeCluster();
  const topics = names.length > 0 ? await topicsOf(admin, names) : [];
  const groups = wanted.size > 0 ? await groupsOf(admin, wanted) : [];
  const lag = groups.reduce((sum, each) => sum + each.lag, 0);
  const found = [
    `Kafka, ${counted(brokers.length, "broker")}`,
    counted(topics.length, "topic"),
    counted(groups.length, "group"),
    `${counted(lag, "fact")} not heard yet`,
  ].join(", ");
  return {
    found,
    figures: { adapter: "kafka", brokers: brokers.map(({ nodeId }) => nodeId).sort(), topics, groups },
    troubles: [...topics.flatMap(topicTroubles), ...groups.flatMap(groupTroubles)],
  };
}

async function topicsOf(admin: ClusterAdmin, names: string[]): Promise<Topic[]> {
  const retentions = await retentionsOf(admin, names);
  const { topics } = await admin.fetchTopicMetadata({ topics: names });
  return topics.map(({ name, partitions }) => ({
    topic: name,
    partitions: partitions.length,
    underReplicated: partitions.filter(({ isr, replicas }) => isr.length < replicas.length).length,
    leaderless: partitions.filter(({ leader }) => leader < 0).length,
    retentionMs: retentions.get(name)?.retentionMs ?? null,
  }));
}

async function groupsOf(admin: ClusterAdmin, wanted: Map<string, Set<string>>): Promise<Group[]> {
  const { groups } = await admin.describeGroups([...wanted.keys()]);
  const told = groups.map(async ({ groupId, state, members }) => ({
    group: groupId,
    state,
    members: members.length,
    lag: await lagOf(admin, groupId, [...(wanted.get(groupId) ?? [])]),
  }));
  return Promise.all(told);
}

function topicTroubles({ topic, partitions, underReplicated, leaderless }: Topic): Trouble[] {
  const start =
    "start the brokers that are away: what they missed they copy by themselves; docker service ls shows them in a stack";
  const of = counted(partitions, "partition");
  if (leaderless > 0)
    return [{ says: `topic ${topic}: ${leaderless} of ${of} without a leader, nothing passes there`, fix: start }];
  if (underReplicated > 0)
    return [{ says: `topic ${topic}: ${underReplicated} of ${of} with fewer copies than there should be`, fix: start }];
  return [];
}

function groupTroubles({ group, state, members, lag }: Group): Trouble[] {
  if (members === 0)
    return [
      {
        says: `group ${group} has no members (${state}): nobody hears its facts`,
        fix: "does a process of that service run? events.consumer_failed in its log says why it left",
      },
    ];
  if (lag > LAG_MAX)
    return [
      {
        says: `group ${group} is ${lag} facts behind`,
        fix: "events.redelivering in the log of that service says what it fails at; more of its processes help up to the number of partitions",
      },
    ];
  return [];
}
