// What a command has in hand: the edge in somebody's name, and how to answer.
import { type DescMessage, type MessageShape, toJson } from "@bufbuild/protobuf";
import { type Edge, openEdge } from "../edge/edge.ts";
import { openSessions, type Sessions } from "./sessions.ts";
import type { Stream, Terminal } from "./terminal.ts";
import { clean } from "./terminal.ts";

export type Environment = Record<string, string | undefined>;

export interface World {
  env: Environment;
  stdin: NodeJS.ReadStream;
  stdout: Stream;
  stderr: Stream;
}

export interface Options {
  url?: string | undefined;
  as?: string | undefined;
  json?: boolean | undefined;
}

export interface Shop extends World {
  url: string;
  /** Who was named with --as. */
  as: string | undefined;
  json: boolean;
  edge: Edge;
  call: Edge["call"];
  /** In nobody's name. */
  anonymous: Edge["call"];
  sessions: Sessions;
  terminal: Terminal;
  /** The edge in the name of another session. */
  inNameOf(email: string): Edge;
  /** In the same name as the command, each call on a connection of its own. */
  afresh(): Edge;
  /** An answer of the shop, as it is for programs, in words for people. */
  show<M extends DescMessage>(schema: M, message: MessageShape<M>, people: (message: MessageShape<M>) => void): void;
  /** The same for what a command put together itself. */
  showOwn<T>(value: T, people: (value: T) => void): void;
  /** What a person types to go on, at the same shop and in the same name. */
  command(words: string): string;
  /** A sentence for people alone. */
  say(text: string): void;
  /** How far it is, to a person who watches. */
  progress(text: string): void;
  /** What was asked for was told, and is not in order. */
  endWith(code: number): void;
}

/** A command with no address: the shop of this machine. */
export function openShop(world: World, options: Options, terminal: Terminal, endWith: Shop["endWith"]): Shop {
  const { env, stdout, stderr } = world;
  const url = (options.url || env["BODEGA_URL"] || `http://127.0.0.1:${env["PORT"] || 8080}`).replace(/\/+$/, "");
  const sessions = openSessions(env, url);
  const json = options.json ?? false;
  const nobodys = openEdge({ url });
  const edgeOf = (who: () => Promise<string | undefined>, newConnections = false) =>
    openEdge({
      url,
      newConnections,
      async token(refused) {
        if (env["BODEGA_TOKEN"]) return env["BODEGA_TOKEN"];
        const email = await who();
        return email === undefined ? undefined : sessions.token(email, nobodys, refused);
      },
    });
  const named = async () => options.as ?? (await sessions.current());
  const edge = edgeOf(named);
  const write = (value: unknown) => void stdout.write(`${JSON.stringify(value)}\n`);
  return {
    ...world,
    url,
    as: options.as,
    json,
    endWith,
    edge,
    call: edge.call,
    anonymous: nobodys.call,
    sessions,
    terminal,
    inNameOf: (email) => edgeOf(async () => email),
    afresh: () => edgeOf(named, true),
    show(schema, message, people) {
      // Zeros are written out: a program need not know what is left out.
      if (json) write(toJson(schema, message, { alwaysEmitImplicit: true }));
      else people(message);
    },
    showOwn(value, people) {
      if (json) write(value);
      else people(value);
    },
    command(words) {
      const url = options.url ? ["--url", options.url] : [];
      const as = options.as ? ["--as", options.as] : [];
      return ["bodega", ...url, ...as, words].join(" ");
    },
    progress(text) {
      if (stderr.isTTY) stderr.write(`${clean(text)}\n`);
    },
    say(text) {
      if (!json) terminal.line(clean(text, true));
    },
  };
}
