// Every port of the developer's servers. Number n of a kind listens on base + offset + n, always on 127.0.0.1.

/** Below the ports systems give to outgoing connections, and below those the private PostgreSQL picks from. */
export const BASE_PORT = 17_000;

const OFFSETS = {
  postgres: { sql: 0 },
  redis: { client: 10, bus: 20 },
  rabbitmq: { amqp: 30, distribution: 40 },
  kafka: { broker: 50, controller: 60 },
  haproxy: { amqp: 70 },
  mailhog: { smtp: 72, web: 74 },
  epmd: { names: 76 },
  connect: { rest: 78 },
};
/** A tool of RabbitMQ is a node itself while it runs, and several may run at a time. */
const TOOLS = { first: 80, last: 99 };

export type KindName = keyof typeof OFFSETS;

export function portsOf<K extends KindName>(
  kind: K,
  number: number,
  basePort: number,
): Record<keyof (typeof OFFSETS)[K], number> {
  const ports = Object.entries(OFFSETS[kind]).map(([purpose, offset]) => [purpose, basePort + offset + number]);
  return Object.fromEntries(ports);
}

export function toolPorts(basePort: number): { first: number; last: number } {
  return { first: basePort + TOOLS.first, last: basePort + TOOLS.last };
}
