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

/** The unconfirmed messages of a queue. */
interface Room {
  taken: number;
  freed: PromiseWithResolvers<void>;
}

function leave(room: Room) {
  room.taken -= 1;
  room.freed.resolve();
  room.freed = Promise.withResolvers();
}

export function openOutlet(
  model: ChannelModel,
  channel: ConfirmChannel,
  declare: (queue: Queue) => Promise<void>,
): Outlet {
  const declared = new Map<string, Promise<void>>();
  const returned = new Set<string>();
  const rooms = new Map<string, Room>();
  /** Not one promise to race against: it would remember every message of a long connection. */
  const unconfirmed = new Set<(outcome: Error | undefined) => void>();
  let published = 0;
  // Comes before the confirmation of the same message.
  channel.on("return", ({ properties }) => returned.add(properties.correlationId));
  channel.on("close", () => {
    for (const settle of unconfirmed) settle(new Error("the connection was lost before the confirmation came"));
  });

  async function send(queue: string, messages: JobMessage[], deadline: AbortSignal) {
    const room = rooms.get(queue) ?? { taken: 0, freed: Promise.withResolvers<void>() };
    rooms.set(queue, room);
    const confirmed: Promise<Error | undefined>[] = [];
    for (const message of messages) {
      while (room.taken >= UNCONFIRMED_MAX && !deadline.aborted) await room.freed.promise;
      deadline.throwIfAborted();
      confirmed.push(publish(queue, message, room));
    }
    const failed = (await Promise.all(confirmed)).find((error) => error !== undefined);
    if (!failed) return;
    // Made again, or bound again, before the next is sent.
    declared.delete(jobsQueue(queue).name);
    throw failed;
  }

  function publish(queue: string, { body, id, type, key, traceparent, requestId }: JobMessage, room: Room) {
    const { promise, resolve } = Promise.withResolvers<Error | undefined>();
    const settle = (outcome: Error | undefined) => {
      if (!unconfirmed.delete(settle)) return;
      leave(room);
      resolve(outcome);
    };
    const correlationId = String(++published);
    const headers = { key, traceparent, request_id: requestId };
    const properties = { mandatory: true, persistent: true, messageId: id, type, headers, correlationId };
    unconfirmed.add(settle);
    room.taken += 1;
    channel.publish(JOBS, queue, Buffer.from(body), properties, (refused) => {
      if (refused) settle(new Error(`${queue} refused job ${id}: it has no majority of its nodes`));
      else if (returned.delete(correlationId)) settle(new Error(`no queue takes jobs for ${queue}: ${id} came back`));
      else settle(undefined);
    });
    return promise;
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
