import { startEmbeddedPostgres } from "../../packages/database/embedded.ts";
import { afterThisProcess } from "./after-this-process.ts";
import { scratchFolder } from "./scratch.ts";

let started: Promise<string> | undefined;

/** The URL of one PostgreSQL for all tests of this process; it ends with the process. TEST_DATABASE_URL names another. */
export function testPostgres(): Promise<string> {
  const given = process.env["TEST_DATABASE_URL"];
  started ??= given ? Promise.resolve(given) : startTestPostgres();
  return started;
}

/** Another one, which ends with this process too. */
export async function startTestPostgres(): Promise<string> {
  const dataDir = scratchFolder("bodega-test-");
  const server = await startEmbeddedPostgres({ dataDir, durable: false, log: () => {} });
  afterThisProcess('kill -QUIT "$(head -n 1 "$0/postgres/postmaster.pid")"; rm -rf "$0"', [dataDir]);
  return server.url;
}
