import type { Log } from "../telemetry/log.ts";
import { backoffMs } from "../time/backoff.ts";
import { sleep } from "../time/wait.ts";

/** What goes to one partition in one call. */
export interface Group<Message> {
  topic: string;
  partition: number;
  messages: Message[];
}

/** What the broker says about one partition. */
export interface Answer {
  topicName: string;
  partition: number;
  errorCode: number;
}

export interface Lanes<Message> {
  /**
   * Resolves when every message was acknowledged, in their order per partition; rejects when `deadlineMs` is over before that.
   * Some may have been written then.
   */
  publish(messages: Message[], placeOf: (message: Message) => { topic: string; partition: number }): Promise<void>;
  /** Resolves when nothing is under way. */
  idle(): Promise<void>;
}

export interface LaneOptions<Message> {
  /** One call; rejects when it is not known to be written. */
  send(group: Group<Message>): Promise<Answer[]>;
  /** This group will not be sent again: whoever counts what goes to its partition must begin anew. */
  abandon(): Promise<void>;
  sizeOf(message: Message): number;
  log: Log;
  /** Real time in milliseconds. */
  nowMs: () => number;
  deadlineMs: number;
}

/** Half of what a broker takes at once by default. */
const GROUP_BYTES_MAX = 500_000;
/** Less than a publish may take, or it would be tried once. */
const PACE = { firstMs: 100, mostMs: 1_000 };

/**
 * The way to Kafka. kafkajs acknowledges what it never wrote when a call spans several leaders and one of them dies, and when calls to
 * one partition overlap. So a call holds one partition, a partition has one call in flight, a call that failed goes out again unchanged,
 * and the answer must name just that partition.
 */
export function createLanes<Message>(options: LaneOptions<Message>): Lanes<Message> {
  const { send, abandon, sizeOf, log, nowMs, deadlineMs } = options;
  const lanes = new Map<string, Promise<unknown>>();

  /** After everything that is in the lane. */
  function inLane(name: string, work: () => Promise<void>): Promise<void> {
    const done = (lanes.get(name) ?? Promise.resolve()).then(work);
    // The next one does not depend on how this one ends; who published this hears of it.
    lanes.set(name, Promise.allSettled([done]));
    return done;
  }

  async function sendUntilAcknowledged(group: Group<Message>, deadline: number) {
    const { topic, partition } = group;
    for (let failures = 0; ; ) {
      if (nowMs() >= deadline && failures === 0)
        throw new Error(`${topic}/${partition} was busy for ${deadlineMs} ms: nothing was sent`);
      try {
        return mustNameOnly(group, await send(group));
      } catch (error) {
        failures += 1;
        log.warn("events.send_failed", { topic, partition, failures, error: String(error) });
        const pause = backoffMs(failures, PACE);
        if (nowMs() + pause >= deadline) {
          await abandon();
          throw error;
        }
        await sleep(pause);
      }
    }
  }

  return {
    async publish(messages, placeOf) {
      const deadline = nowMs() + deadlineMs;
      const outcomes = await Promise.allSettled(
        Array.from(groupsOf(messages, placeOf, sizeOf), ([name, groups]) =>
          inLane(name, async () => {
            // A group that failed ends the lane's part: what comes after it must not overtake it.
            for (const group of groups) await sendUntilAcknowledged(group, deadline);
          }),
        ),
      );
      const failed = outcomes.find((outcome) => outcome.status === "rejected");
      if (failed) throw failed.reason;
    },
    async idle() {
      await Promise.all(lanes.values());
    },
  };
}

/** The groups of each partition, in order. */
export function groupsOf<Message>(
  messages: Message[],
  placeOf: (message: Message) => { topic: string; partition: number },
  sizeOf: (message: Message) => number,
): Map<string, Group<Message>[]> {
  const lanes = new Map<string, Group<Message>[]>();
  const sizes = new Map<Group<Message>, number>();
  for (const message of messages) {
    const { topic, partition } = placeOf(message);
    const name = `${topic}/${partition}`;
    const groups = lanes.get(name) ?? [];
    lanes.set(name, groups);
    let group = groups.at(-1);
    const size = sizeOf(message);
    if (!group || (sizes.get(group) ?? 0) + size > GROUP_BYTES_MAX) {
      group = { topic, partition, messages: [] };
      groups.push(group);
    }
    group.messages.push(message);
    sizes.set(group, (sizes.get(group) ?? 0) + size);
  }
  return lanes;
}

function mustNameOnly({ topic, partition }: Group<unknown>, answers: Answer[]): void {
  const [answer] = answers;
  const asked = answers.length === 1 && answer?.topicName === topic && answer.partition === partition;
  if (!asked || answer.errorCode !== 0)
    throw new Error(
      `expected one answer, about ${topic}/${partition} and without error, found ${JSON.stringify(answers)}`,
    );
}
