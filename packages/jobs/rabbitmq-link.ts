import { type Channel, type ChannelModel, connect } from "amqplib";
import type { Log } from "../telemetry/log.ts";
import type { RabbitNode } from "./rabbitmq-url.ts";

const CONNECT_MS = 5_000;
const CLOSE_MS = 5_000;
const HEARTBEAT_S = 10;
/** Until the first connection; later ones are tried for ever. */
const FIRST_TRIES = 8;
const RECONNECT_MS_MIN = 100;
const RECONNECT_MS_MAX = 2_000;

/** Connected to one of the nodes, again and again; `setUp` makes channels, topology and consumers each time. */
export async function stayConnected(
  nodes: RabbitNode[],
  purpose: string,
  log: Log,
  setUp: (model: ChannelModel) => Promise<void>,
) {
  // The driver reads it at every try, so that the next one goes to the next node.
  const address = { ...nodes[0], heartbeat: HEARTBEAT_S };
  let tries = 0;
  const failed = (error: Error) => log.error("rabbitmq.failed", explained(error, nodes), { purpose });
  const link = await connect(address, {
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
      async setup(model: ChannelModel) {
        model.on("error", failed);
        await setUp(model);
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

/** A channel that the broker has closed is made again with its connection. */
export function endWithChannel(model: ChannelModel, channel: Channel, log: Log) {
  channel.on("error", (error) => startOver(Promise.reject(error), model, log));
}

export function startOver(work: Promise<unknown>, model: ChannelModel, log: Log) {
  work.catch((error: unknown) => {
    log.error("rabbitmq.starting_over", error);
    return endWithin(model.close(), log);
  });
}

export async function endWithin(ending: Promise<unknown>, log: Log) {
  // It may have ended by itself: then the driver refuses.
  await within(CLOSE_MS, "no answer", () => ending).catch((error) =>
    log.warn("rabbitmq.ended", { error: String(error) }),
  );
}

export async function within<T>(ms: number, what: string, work: (deadline: AbortSignal) => Promise<T>): Promise<T> {
  const deadline = new AbortController();
  const { promise: over, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const error = new Error(`${what} within ${ms} ms`);
    deadline.abort(error);
    reject(error);
  }, ms);
  return Promise.race([work(deadline.signal), over]).finally(() => clearTimeout(timer));
}

export function explained(error: unknown, nodes: RabbitNode[]): Error {
  const where = nodes.map(({ hostname, port }) => `${hostname}:${port}`).join(", ");
  const { message = "", code = "" } = error as { message?: string; code?: string };
  const said = message || code || String(error);
  if (/ACCESS.REFUSED/.test(said))
    return new Error(`RabbitMQ at ${where} refuses the user and password of RABBITMQ_URL: ${said}`, { cause: error });
  return new Error(`RabbitMQ at ${where} failed: ${said}`, { cause: error });
}
