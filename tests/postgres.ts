import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startEmbeddedPostgres } from "../packages/database/embedded.ts";

let started: Promise<string> | undefined;

/** The URL of one PostgreSQL for all tests of this process; it ends with the process. TEST_DATABASE_URL names another. */
export function testPostgres(): Promise<string> {
  const given = process.env["TEST_DATABASE_URL"];
  started ??= given ? Promise.resolve(given) : start();
  return started;
}

async function start(): Promise<string> {
  const dataDir = mkdtempSync(join(tmpdir(), "bodega-test-"));
  const server = await startEmbeddedPostgres({ dataDir, durable: false, log: () => {} });
  endWithThisProcess(dataDir);
  return server.url;
}

/** `bun test` runs no exit handlers, and a killed one could not: a small shell waits for the end of this process and cleans up after it. */
function endWithThisProcess(dataDir: string) {
  const script = `while kill -0 ${process.pid} 2>/dev/null; do sleep 1; done; kill -QUIT "$(head -n 1 "$0/postgres/postmaster.pid")"; rm -rf "$0"`;
  Bun.spawn(["sh", "-c", script, dataDir], {
    detached: true,
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
  }).unref();
}
