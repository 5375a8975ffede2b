// One address for the RabbitMQ nodes: a connection goes to a node that lives, and is cut when its node dies.
import { find } from "./find.ts";
import { portsOf } from "./ports.ts";
import { answersAmqp } from "./rabbitmq.ts";
import { type Kind, kept, type Server } from "./server.ts";

export const haproxy: Kind = {
  count: () => 1,
  ports: ({ number, basePort }) => portsOf("haproxy", number, basePort),
  needs: [{ name: "haproxy", found: () => find("haproxy") !== undefined, apt: ["haproxy"], brew: "haproxy" }],
  after: ["rabbitmq"],
  files: (server) => ({ "haproxy.cfg": config(server, nodesIn(server.root)) }),
  command: () => ({ argv: [find("haproxy") ?? "haproxy", "-db", "-f", "haproxy.cfg"] }),
  ready: async ({ basePort }) => answersAmqp(portsOf("haproxy", 1, basePort).amqp),
  env: ([server]) =>
    server ? { RABBITMQ_URL: `amqp://guest:guest@127.0.0.1:${portsOf("haproxy", 1, server.basePort).amqp}` } : {},
};

export function config({ basePort }: Server, nodes: number): string {
  const servers = Array.from({ length: nodes }, (_, index) => {
    const { amqp } = portsOf("rabbitmq", index + 1, basePort);
    return `  server rabbitmq-${index + 1} 127.0.0.1:${amqp} check`;
  });
  const lines = [
    "defaults",
    "  mode tcp",
    "  timeout connect 1s",
    "  timeout client 3h",
    "  timeout server 3h",
    "  option clitcpka",
    "",
    "listen amqp",
    `  bind 127.0.0.1:${portsOf("haproxy", 1, basePort).amqp}`,
    "  balance leastconn",
    "  option tcp-check",
    "  default-server inter 1s fall 2 rise 2 on-marked-down shutdown-sessions",
    ...servers,
  ];
  return `${lines.join("\n")}\n`;
}

function nodesIn(root: string): number {
  return kept(root, "rabbitmq-1")?.server.count ?? 1;
}
