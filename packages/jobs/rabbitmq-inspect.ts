import { counted, type Inspection, type Trouble } from "../telemetry/inspection.ts";
import { type ChannelModel, ifFound } from "./rabbitmq-link.ts";
import { jobsQueue } from "./rabbitmq-queues.ts";

interface Queue {
  queue: string;
  /** Left out where there is no such queue. */
  depth?: number;
  consumers?: number;
}

const DEPTH_MAX = 10_000;

/** The node that is connected to, and the queues that this process sends to or takes from. Who their members are is not told to a client of AMQP. */
export async function inspectRabbit(model: ChannelModel, names: string[]): Promise<Inspection> {
  const { version, cluster } = nodeOf(model);
  const queues = await Promise.all([...names].sort().map((name) => queueOf(model, jobsQueue(name).name)));
  const waiting = queues.reduce((sum, { depth = 0 }) => sum + depth, 0);
  return {
    found: `RabbitMQ ${version}, ${counted(queues.length, "queue")}, ${counted(waiting, "job")} not taken yet`,
    figures: { adapter: "rabbitmq", version, cluster, queues },
    troubles: queues.flatMap(queueTroubles),
  };
}

function nodeOf({ connection }: ChannelModel) {
  const { version, cluster_name: cluster } = connection.serverProperties as { version?: string; cluster_name?: string };
  return { version: version ?? "of unknown version", cluster: cluster ?? null };
}

async function queueOf(model: ChannelModel, queue: string): Promise<Queue> {
  const found = await ifFound(model, (channel) => channel.checkQueue(queue));
  return found ? { queue, depth: found.messageCount, consumers: found.consumerCount } : { queue };
}

function queueTroubles({ queue, depth, consumers }: Queue): Trouble[] {
  if (depth === undefined)
    return [
      { says: `queue ${queue} is not there`, fix: "a process of its service makes it when it starts: start one" },
    ];
  if (consumers === 0)
    return [
      {
        says: `queue ${queue} has no consumers, and ${counted(depth, "job")} in it`,
        fix: "start a process of its service: docker service ls in a stack, bun services/main.ts with its name elsewhere; docs/runbooks/JobsBehind.md",
      },
    ];
  if (depth > DEPTH_MAX)
    return [
      {
        says: `queue ${queue}: ${depth} jobs wait, with ${consumers} consumers`,
        fix: "jobs.redelivering in the log of its service says what it fails at; more of its processes help; docs/runbooks/JobsBehind.md",
      },
    ];
  return [];
}
