import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { keyOf } from "../packages/database/provision.ts";
import { deriveEdgeKey, deriveServiceKey, type JWK, sortKeys } from "../packages/service/wire/tokens.ts";
import { BROKER, SERVICE_NAMES } from "./all.ts";
import { madeSecret } from "./data-folder.ts";

/** The edge's, which has no database; its key signs where clients are. */
export const GATEWAY = "gateway";

/** ORDER_KEY is what order's database password and signing key follow from. */
export function keyVariable(name: string): string {
  return `${name.toUpperCase()}_KEY`;
}

export function databaseName(name: string): string {
  return `bodega_${name}`;
}

/** PUBLIC_KEYS as `secrets` wrote it: what tells services and the edge by their signatures. */
export function readPublicKeys(text: string): { services: JWK[]; edge: JWK[] } {
  const expected = 'PUBLIC_KEYS must be what "bun services/main.ts secrets DIR" wrote into public_keys';
  let keys: JWK[];
  try {
    ({ keys } = JSON.parse(text) as { keys: JWK[] }); // Checked below.
    return sortKeys(keys);
  } catch (error) {
    throw new Error(expected, { cause: error });
  }
}

/**
 * Everything secret that processes apart want, a file each, named like its variable in lower case: to be handed out as <NAME>_FILE, to each process its own. What is
 * there stays: keys follow from cluster_secret, which only `provision` is given.
 */
export async function writeSecrets(folder: string, made: string[]): Promise<string[]> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = (variable: string) => join(folder, variable.toLowerCase());
  const write = (variable: string, value: string) => {
    writeFileSync(path(variable), `${value}\n`, { mode: 0o600 });
    chmodSync(path(variable), 0o600);
  };
  for (const variable of ["CLUSTER_SECRET", ...made])
    if (!existsSync(path(variable))) write(variable, madeSecret(variable));
  const secret = readFileSync(path("CLUSTER_SECRET"), "utf8").trimEnd();
  const keys = keysFrom(secret);
  for (const [variable, key] of keys) write(variable, key);
  write("PUBLIC_KEYS", JSON.stringify(await publicKeys(secret)));
  return ["CLUSTER_SECRET", ...made, ...keys.keys(), "PUBLIC_KEYS"].map(path);
}

/** By their variables. */
export function keysFrom(secret: string): Map<string, string> {
  return new Map(
    [...SERVICE_NAMES, BROKER, GATEWAY].map((name) => [keyVariable(name), keyOf(secret, databaseName(name))]),
  );
}

export async function publicKeys(secret: string): Promise<{ keys: JWK[] }> {
  const own = (name: string) => keyOf(secret, databaseName(name));
  const services = SERVICE_NAMES.map((name) => deriveServiceKey(own(name), name));
  const keys = await Promise.all([...services, deriveEdgeKey(own(GATEWAY))]);
  return { keys: keys.map(({ publicJwk }) => publicJwk) };
}
