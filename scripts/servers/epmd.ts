// Erlang's name server, which RabbitMQ's nodes find each other by. Left alone a node starts one that nobody ends.
import { ask } from "./ask.ts";
import { find } from "./find.ts";
import { portsOf } from "./ports.ts";
import type { Kind } from "./server.ts";

const NAMES_REQUEST = Uint8Array.of(0, 1, 110);

export const epmd: Kind = {
  count: () => 1,
  ports: ({ number, basePort }) => portsOf("epmd", number, basePort),
  needs: [{ name: "epmd", found: () => find("epmd") !== undefined, apt: ["erlang-base"], brew: "erlang" }],
  command: ({ basePort }) => {
    const port = portsOf("epmd", 1, basePort).names;
    return { argv: [find("epmd") ?? "epmd", "-port", String(port), "-address", "127.0.0.1"] };
  },
  ready: async ({ basePort }) => {
    const { names } = portsOf("epmd", 1, basePort);
    return (await ask(names, NAMES_REQUEST, ({ length }) => length >= 4))?.readUInt32BE() === names;
  },
  env: () => ({}),
};
