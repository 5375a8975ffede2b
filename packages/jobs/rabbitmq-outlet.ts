import type { JobMessage } from "./jobs.ts";
import type { ChannelModel, ConfirmChannel } from "./rabbitmq-link.ts";
import { JOBS, jobsQueue, type Queue } from "./rabbitmq-queues.ts";

/** Of one queue: one that confirms nothing must leave the others their room. */
const UNCONFIRMED_MAX = 1_000;

/** Sends over one channel, and is no more when it closes. */
export interface Outlet {
  model: ChannelModel;
  channel: ConfirmChannel;
  /** Resolves when the broker has written all of them down. */
  send(queue: string, messages: JobMessage[], deadline: AbortSignal): Promise<void>;
  declare(queue: Queue): Promise<void>;
}

export function openOutlet(
  model: ChannelModel,
  channel: ConfirmChannel,
  declare: (queue: Queue) => Promise<void>,
): Outlet {
  const declared = new Map<string, Promise<void>>();
  const returned = new Set<string>();
  const unconfirmed = new Map<string, Set<Promise<Error | undefined>>>();
  const lost = Promise.withResolvers<Error>();
  let published = 0;
  // Comes before the confirmation of the same message.
  channel.on("return", ({ properties }) => returned.add(properties.correlationId));
  channel.on("close", () => lost.resolve(new Error("the connection was lost before the confirmation came")));

  async function send(queue: string, messages: JobMessage[], deadline: AbortSignal) {
    const waiting = unconfirmed.get(queue) ?? new Set();
    unconfirmed.set(queue, waiting);
    const confirmed: Promise<Error | undefined>[] = [];
    for (const message of messages) {
      while (waiting.size >= UNCONFIRMED_MAX && !deadline.aborted) await Promise.race([lost.promise, ...waiting]);
      deadline.throwIfAborted();
      const confirmation = publish(queue, message).finally(() => waiting.delete(confirmation));
      waiting.add(confirmation);
      confirmed.push(confirmation);
    }
    const failed = (await Promise.all(confirmed)).find((error) => error !== undefined);
    if (!failed) return;
    // Made again, or bound again, before the next is sent.
    declared.delete(jobsQueue(queue).name);
    throw failed;
  }

  function publish(queue: string, { body, id, type, key, traceparent, requestId }: JobMessage) {
    const { promise, resolve } = Promise.withResolvers<Error | undefined>();
    const correlationId = String(++published);
    const headers = { key, traceparent, request_id: requestId };
    const properties = { mandatory: true, persistent: true, messageId: id, type, headers, correlationId };
    channel.publish(JOBS, queue, Buffer.from(body), properties, (refused) => {
      if (refused) resolve(new Error(`${queue} refused job ${id}: it has no majority of its nodes`));
      else if (returned.delete(correlationId)) resolve(new Error(`no queue takes jobs for ${queue}: ${id} came back`));
      else resolve(undefined);
    });
    return Promise.race([promise, lost.promise]);
  }

  return {
    model,
    channel,
    send,
    declare(queue) {
      const declaring =
        declared.get(queue.name) ??
        declare(queue).catch((error: unknown) => {
          declared.delete(queue.name);
          throw error;
        });
      declared.set(queue.name, declaring);
      return declaring;
    },
  };
}
