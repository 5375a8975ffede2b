import type { Envelope } from "../api/envelope.ts";
import { type ChannelModel, type ConfirmChannel, closing } from "./rabbitmq-link.ts";
import { type Declare, JOBS, jobsQueue } from "./rabbitmq-queues.ts";

/** Of one queue. RabbitMQ stops reading from a connection of which one channel has 400 messages that it cannot get rid of. */
const UNCONFIRMED_MAX = 200;

/** Sends over one connection, each queue on a channel of its own: one without a leader blocks its channel. */
export interface Outlet {
  model: ChannelModel;
  /** Resolves when the broker has written all of them down. */
  send(queue: string, messages: Envelope[], deadline: AbortSignal): Promise<void>;
  /** The channel of this name, after `prepare`. */
  through(name: string, prepare: () => Promise<void>): Promise<ConfirmChannel>;
}

export function openOutlet(model: ChannelModel, declare: Declare): Outlet {
  const lines = new Map<string, Line>();

  function lineOf(name: string): Line {
    const line = lines.get(name) ?? {
      published: 0,
      unconfirmed: new Map(),
      returned: new Set(),
      freed: Promise.withResolvers(),
    };
    lines.set(name, line);
    return line;
  }

  async function through(name: string, prepare: () => Promise<void>): Promise<ConfirmChannel> {
    const line = lineOf(name);
    line.prepared ??= prepare();
    line.channel ??= line.prepared.then(() => openChannel(model, line));
    try {
      // Both are heard: when the queue cannot be made, the channel that was to follow fails with it.
      const [channel] = await Promise.all([line.channel, line.prepared]);
      return channel;
    } catch (error) {
      forget(line);
      throw error;
    }
  }

  async function send(queue: string, messages: Envelope[], deadline: AbortSignal) {
    const wanted = jobsQueue(queue);
    const line = lineOf(wanted.name);
    const channel = await through(wanted.name, () => declare(model, wanted));
    const confirmed: Promise<Error | undefined>[] = [];
    for (const message of messages) {
      while (line.unconfirmed.size >= UNCONFIRMED_MAX && !deadline.aborted) await line.freed.promise;
      deadline.throwIfAborted();
      confirmed.push(publish(channel, line, queue, message));
    }
    const failed = (await Promise.all(confirmed)).find((error) => error !== undefined);
    if (!failed) return;
    // The queue may be gone: it is looked after before the next is sent.
    delete line.prepared;
    throw failed;
  }

  return { model, send, through };
}

interface Line {
  prepared?: Promise<void>;
  channel?: Promise<ConfirmChannel>;
  published: number;
  /** What is told of a message, by its number. */
  unconfirmed: Map<string, (outcome: Error | undefined) => void>;
  returned: Set<string>;
  /** Resolved, and another one, when there is room again. */
  freed: PromiseWithResolvers<void>;
}

function forget(line: Line) {
  delete line.prepared;
  delete line.channel;
}

async function openChannel(model: ChannelModel, line: Line): Promise<ConfirmChannel> {
  const channel = await model.createConfirmChannel();
  // Comes before the confirmation of the same message.
  channel.on("return", ({ properties }) => line.returned.add(properties.correlationId));
  closing(channel).addEventListener("abort", () => {
    forget(line);
    const lost = new Error("the connection was lost before the confirmation came");
    for (const settle of [...line.unconfirmed.values()]) settle(lost);
  });
  return channel;
}

function publish(channel: ConfirmChannel, line: Line, queue: string, message: Envelope): Promise<Error | undefined> {
  const { body, id, type, source, key, time, traceparent } = message;
  const { promise, resolve } = Promise.withResolvers<Error | undefined>();
  const correlationId = String(++line.published);
  const settle = (outcome: Error | undefined) => {
    line.unconfirmed.delete(correlationId);
    line.freed.resolve();
    line.freed = Promise.withResolvers();
    resolve(outcome);
  };
  line.unconfirmed.set(correlationId, settle);
  const headers = { source, key, time: time.toISOString(), traceparent, request_id: message.correlationId };
  const properties = { mandatory: true, persistent: true, messageId: id, type, headers, correlationId };
  try {
    channel.publish(JOBS, queue, Buffer.from(body), properties, (refused) => {
      if (refused) settle(new Error(`${queue} refused job ${id}: it has no majority of its nodes`));
      else if (line.returned.delete(correlationId))
        settle(new Error(`no queue takes jobs for ${queue}: ${id} came back`));
      else settle(undefined);
    });
  } catch (error) {
    // The channel is closed.
    settle(error instanceof Error ? error : new Error(String(error)));
  }
  return promise;
}
