import type { SecureContextOptions } from "node:tls";
import { type Channel, type ChannelModel, connect } from "amqplib";
import type { Log } from "../telemetry/log.ts";
import { within } from "../time/wait.ts";
import type { RabbitNode } from "./rabbitmq-url.ts";

export type { Channel, ChannelModel, ConfirmChannel, ConsumeMessage } from "amqplib";

const CONNECT_MS = 5_000;
const SET_UP_MS = 10_000;
const CLOSE_MS = 5_000;
/** A node that is silent is given up after two to three of these. */
const HEARTBEAT_S = 5;
/** Until the first connection, some half a minute: to end and be started again would cost more. Later ones are tried for ever. */
const FIRST_TRIES = 18;
const RECONNECT_MS_MIN = 100;
const RECONNECT_MS_MAX = 2_000;
const NOT_FOUND = 404;

/** Connected to one of the nodes, again and again; `setUp` makes channels and consumers each time. */
export async function stayConnected(
  nodes: RabbitNode[],
  purpose: string,
  log: Log,
  setUp: (model: ChannelModel) => Promise<void>,
  tls: SecureContextOptions = {},
) {
  // The driver reads it at every try, so that the next one goes to the next node.
  const address = { ...nodes[0], heartbeat: HEARTBEAT_S };
  let tries = 0;
  const failed = (error: Error) => log.error("rabbitmq.failed", explained(error, nodes), { purpose });
  const link = await connect(address, {
    ...tls,
    timeout: CONNECT_MS,
    noDelay: true,
    keepAlive: true,
    clientProperties: { connection_name: `bodega ${purpose}` },
    recovery: {
      initialDelay: RECONNECT_MS_MIN,
      maxDelay: RECONNECT_MS_MAX,
      initialMaxRetries: FIRST_TRIES,
      maxRetries: Number.POSITIVE_INFINITY,
      waitForConnect: false,
      setup(model: ChannelModel) {
        model.on("error", failed);
        return within(SET_UP_MS, "no channel was opened", () => setUp(model));
      },
    },
  });
  for (const event of ["connect-failed", "disconnect"] as const)
    link.on(event, (error: Error) => {
      failed(error);
      Object.assign(address, nodes[++tries % nodes.length]);
    });
  // Each connection has told it by then; unheard it would end the process.
  link.on("error", () => {});
  try {
    return await link.waitForConnect();
  } catch (error) {
    await link.close();
    throw explained(error, nodes);
  }
}

/** On a channel of its own, which does not survive an answer of "not found". Undefined then. */
export async function ifFound<T>(model: ChannelModel, ask: (channel: Channel) => Promise<T>): Promise<T | undefined> {
  const channel = await model.createChannel();
  closing(channel);
  try {
    const found = await ask(channel);
    await channel.close();
    return found;
  } catch (error) {
    if (codeOf(error) === NOT_FOUND) return undefined;
    throw error;
  }
}

/** Aborts when it is closed, by whomever. What went wrong, the call that failed tells; unheard it would end the process. */
export function closing(closable: Channel | ChannelModel): AbortSignal {
  const closed = new AbortController();
  closable.on("error", () => {});
  closable.once("close", () => closed.abort());
  return closed.signal;
}

export async function endWithin(end: () => Promise<unknown>, log: Log) {
  // It may have ended by itself: then the driver refuses.
  await within(CLOSE_MS, "no answer", end).catch((error) => log.warn("rabbitmq.ended", { error: String(error) }));
}

export function codeOf(error: unknown): unknown {
  return (error as { code?: unknown } | undefined)?.code;
}

export function explained(error: unknown, nodes: RabbitNode[]): Error {
  const where = placesOf(nodes);
  const { message = "", code = "" } = error as { message?: string; code?: string };
  const said = message || code || String(error);
  if (/ACCESS.REFUSED/.test(said))
    return new Error(`RabbitMQ at ${where} refuses the user and password of RABBITMQ_URL: ${said}`, { cause: error });
  return new Error(`RabbitMQ at ${where} failed: ${said}`, { cause: error });
}

export function placesOf(nodes: RabbitNode[]): string {
  return nodes.map(({ hostname, port }) => `${hostname}:${port}`).join(", ");
}
