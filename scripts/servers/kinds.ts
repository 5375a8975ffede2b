// The kinds of servers there are, and which of them a wish means.
import { connect } from "./connect.ts";
import { epmd } from "./epmd.ts";
import { haproxy } from "./haproxy.ts";
import { kafka } from "./kafka.ts";
import { mailhog } from "./mailhog.ts";
import type { KindName } from "./ports.ts";
import { postgres } from "./postgres.ts";
import { rabbitmq } from "./rabbitmq.ts";
import { redis } from "./redis.ts";
import { type Kind, nameOf, type Server, type Size } from "./server.ts";

export const KINDS: Record<KindName, Kind> = { epmd, postgres, redis, rabbitmq, haproxy, kafka, connect, mailhog };

export function kindOf(name: string): Kind {
  const kind = (KINDS as Partial<Record<string, Kind>>)[name]; // it may be a name that is none
  if (!kind) throw new Error(`expected a kind of server (${Object.keys(KINDS).join(", ")}), found ${name}`);
  return kind;
}

/** Servers by kind or by name (nothing: all that are not only on request), with the kinds they stand on, in order of start. */
export function serversFor(words: string[], size: Size, basePort: number, root: string): Server[] {
  const names = Object.keys(KINDS) as KindName[]; // the keys of a record of kinds are names of kinds
  const all = names.flatMap((kind) => {
    const count = kindOf(kind).count(size);
    return Array.from({ length: count }, (_, index): Server => ({ kind, number: index + 1, count, basePort, root }));
  });
  const wanted = new Set<string>();
  const want = (word: string) => {
    const found = all.filter((server) => server.kind === word || nameOf(server) === word);
    if (found.length === 0) throw new Error(`expected ${names.join(", ")} or one like redis-1, found ${word}`);
    for (const server of found) wanted.add(nameOf(server));
    for (const below of kindOf(found[0]?.kind ?? "").after ?? []) want(below);
  };
  for (const word of words.length > 0 ? words : names.filter((kind) => !kindOf(kind).onlyOnRequest)) want(word);
  return all.filter((server) => wanted.has(nameOf(server)));
}

/** The variables for Bodega; where two say the same, the later kind stands in front of the earlier. */
export function environmentOf(servers: Server[]): Record<string, string> {
  const kinds = Object.keys(KINDS).filter((kind) => servers.some((server) => server.kind === kind));
  const settings = kinds.map((kind) => kindOf(kind).env(servers.filter((server) => server.kind === kind)));
  return Object.assign({}, ...settings);
}
