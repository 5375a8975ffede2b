// What a server is, and what is kept about it: <data folder>/servers/<name>/{server.json, server.log, its own data}.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { KindName } from "./ports.ts";

export interface Server {
  kind: KindName;
  /** 1 to count. */
  number: number;
  count: number;
  basePort: number;
  /** The folder of all servers. Absolute. */
  root: string;
}

export interface Identity {
  pid: number;
  /** When it started, in the system's own words; with the boot, because the clock it is counted on starts anew. */
  started: string;
}

export interface Command {
  argv: string[];
  env?: Record<string, string>;
}

/** Something a kind cannot start without. */
export interface Need {
  name: string;
  found(): boolean;
  /** Debian's packages that bring it, or how it is built from a package registry. */
  apt?: string[];
  brew?: string;
  build?(): Promise<void>;
}

export interface Kind {
  /** Not among "all": heavy, and few want it. */
  onlyOnRequest?: boolean;
  /** How many servers "size" means. */
  count(size: Size): number;
  ports(server: Server): Record<string, number>;
  needs: Need[];
  /** Kinds that must stand before this one. */
  after?: KindName[];
  /** Written before every start: path within the server's folder, and text. */
  files?(server: Server): Record<string, string>;
  /** Once, before the first start; the first server's ends before the others' begin. */
  prepare?(server: Server): Promise<void>;
  command(server: Server): Command;
  /** Does it answer as one that works does? */
  ready(server: Server): Promise<boolean>;
  /** Makes one cluster of all of them, or sees that they are one. May run any number of times. */
  form?(servers: Server[]): Promise<void>;
  /** What makes it end in good order, if not SIGTERM. */
  stopSignal?: NodeJS.Signals;
  /** What it says when remains of a killed predecessor are just going away: worth another try. */
  startAgainOn?: RegExp;
  /** The variables that point Bodega at them. */
  env(servers: Server[]): Record<string, string>;
}

export type Size = 1 | 3;

export function nameOf(server: Server): string {
  return `${server.kind}-${server.number}`;
}

export function folderOf(server: Server): string {
  return join(server.root, nameOf(server));
}

export function logOf(server: Server): string {
  return join(folderOf(server), "server.log");
}

/** All servers of its cluster, itself included. */
export function clusterOf(server: Server): Server[] {
  return Array.from({ length: server.count }, (_, index) => ({ ...server, number: index + 1 }));
}

/** What was started last under this name; the process may be gone. */
export interface Kept {
  server: Server;
  process: Identity;
}

export function keep(server: Server, identity: Identity): void {
  const { root: _, ...rest } = server;
  writeFileSync(
    join(folderOf(server), "server.json"),
    `${JSON.stringify({ server: rest, process: identity }, null, 2)}\n`,
  );
}

export function kept(root: string, name: string): Kept | undefined {
  const path = join(root, name, "server.json");
  if (!existsSync(path)) return undefined;
  const { server, process }: Kept = JSON.parse(readFileSync(path, "utf8"));
  return { server: { ...server, root }, process };
}

export function allKept(root: string): Kept[] {
  if (!existsSync(root)) return [];
  return readdirSync(root)
    .toSorted()
    .flatMap((name) => kept(root, name) ?? []);
}

export function writeFiles(server: Server, files: Record<string, string>): void {
  mkdirSync(folderOf(server), { recursive: true, mode: 0o700 });
  for (const [path, text] of Object.entries(files)) writeFileSync(join(folderOf(server), path), text);
}
