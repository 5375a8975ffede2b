// The files of the project as git would commit them, wherever the command was started from.
import { existsSync } from "node:fs";
import type { File } from "./tidy/source.ts";

export const ROOT = new URL("..", import.meta.url).pathname.replace(/\/$/, "");

const FOREIGN = /^(packages\/api\/gen|scripts\/conformance\/gen|proto\/(google|buf|grpc))\//;
const TEXT = /\.(tsx?|sql|md|json|ya?ml|toml|proto|sh|cfg|css|html)$|(^|\/)(Dockerfile|LICENSE|run)$/;

/** Paths of everything tracked or about to be, generated and vendored files included. */
export function paths(): string[] {
  const listed = Bun.spawnSync(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], { cwd: ROOT });
  if (!listed.success) throw new Error(`git ls-files failed: ${listed.stderr.toString()}`);
  const names = listed.stdout.toString().split("\0").filter(Boolean);
  return names.filter((path) => existsSync(`${ROOT}/${path}`));
}

/** The files we write ourselves, with their text. */
export async function ownFiles(): Promise<File[]> {
  const own = paths().filter((path) => TEXT.test(path) && !FOREIGN.test(path));
  return Promise.all(own.map(async (path) => ({ path, text: await Bun.file(`${ROOT}/${path}`).text() })));
}
