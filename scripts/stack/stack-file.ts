// stack.yml and its overlays as they are: what is in their configs and secrets, and parts of them to be deployed alone.
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { ROOT } from "../tree.ts";

type Entry = { file: string; name: string };

export type Environment = Record<string, string>;

interface Told {
  environment?: Environment;
  configs?: { source: string }[];
  secrets?: { source: string }[];
}

interface Document {
  services: Record<string, Told>;
  configs?: Record<string, Entry>;
  secrets?: Record<string, Entry>;
}

export interface StackFile {
  /** Names of all services. */
  services: string[];
  /** HASH_<NAME> for each config and secret: what is in it is part of its name, because neither can be changed. */
  hashes(env: Environment): Environment;
  /** What a service is told, with what `env` fills in: another print is another service. */
  print(service: string, env: Environment): string;
  /** The variables of a service. */
  environment(service: string, env: Environment): Environment;
  /** Arguments of `docker stack deploy` for these services alone, for all of them without. */
  files(services?: string[]): string[];
}

const DIGITS = 12;

/** stack.yml and stack.<overlay>.yml. */
export function readStackFile(overlays: string[]): StackFile {
  const paths = ["stack.yml", ...overlays.map((overlay) => `stack.${overlay}.yml`)].map((name) => join(ROOT, name));
  const documents = paths.map((path) => parse(path));
  const entries = documents.flatMap(({ configs = {}, secrets = {} }) => [
    ...Object.entries(configs),
    ...Object.entries(secrets),
  ]);
  return {
    services: [...new Set(documents.flatMap(({ services }) => Object.keys(services)))],
    hashes: (env) =>
      Object.fromEntries(
        entries.map(([name, { file }]) => [`HASH_${name.toUpperCase()}`, hash(contentOf(name, pathOf(file, env)))]),
      ),
    print(service, env) {
      const told = documents.map(({ services }) => services[service] ?? {});
      const sources = told.flatMap(({ configs = [], secrets = [] }) => [...configs, ...secrets]);
      const named = new Map(entries.map(([name, entry]) => [name, entry.name]));
      const names = sources.map(({ source }) => named.get(source));
      return hash(filledIn(JSON.stringify([told, names]), env));
    },
    environment(service, env) {
      const variables = documents.flatMap(({ services }) => Object.entries(services[service]?.environment ?? {}));
      return Object.fromEntries(variables.map(([name, value]) => [name, filledIn(String(value), env)]));
    },
    files(services) {
      const folder = mkdtempSync(join(ownFolder(), "deployed-"));
      return documents.flatMap((document, index) => {
        const path = join(folder, `${index}.json`);
        writeFileSync(path, JSON.stringify({ ...absolute(document), services: some(document.services, services) }));
        return ["-c", path];
      });
    },
  };
}

let own: string | undefined;

/** What Docker's client is given to read lies here until this process ends. */
function ownFolder(): string {
  if (own) return own;
  const folder = mkdtempSync(join(tmpdir(), "bodega-stack-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  own = folder;
  return folder;
}

function parse(path: string): Document {
  // In Docker's YAML, which is older, 0400 is octal.
  const text = readFileSync(path, "utf8").replace(
    /\bmode: 0([0-7]{3})\b/g,
    (_, mode) => `mode: ${Number.parseInt(mode, 8)}`,
  );
  // What the Compose format promises; the client of Docker checks the rest.
  return { services: {}, ...(Bun.YAML.parse(text) as Partial<Document>) };
}

function some(services: Document["services"], wanted: string[] | undefined): Document["services"] {
  return wanted ? Object.fromEntries(Object.entries(services).filter(([name]) => wanted.includes(name))) : services;
}

/** The copy lies elsewhere. */
function absolute({ configs = {}, secrets = {}, ...document }: Document): Document {
  const moved = (entries: Record<string, Entry>) =>
    Object.fromEntries(
      Object.entries(entries).map(([name, { file, ...entry }]) => [
        name,
        { ...entry, file: file.startsWith("./") ? resolve(ROOT, file) : file },
      ]),
    );
  return { ...document, configs: moved(configs), secrets: moved(secrets) };
}

function pathOf(file: string, env: Environment): string {
  return resolve(ROOT, filledIn(file, env));
}

function contentOf(name: string, path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new Error(`${name} is to be in ${path}, which cannot be read`, { cause });
  }
}

/** ${NAME:-otherwise}, as Docker's client reads it. */
export function filledIn(text: string, env: Environment): string {
  return text.replace(/\$\{(\w+):-([^}]*)\}/g, (_, name: string, otherwise: string) => env[name] || otherwise);
}

function hash(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex").slice(0, DIGITS);
}
