// A process with a relay: what it publishes are rows of `told`, in two halves, so that it can be stopped between them. It says on its output how far it is.
import { openDatabase } from "../../packages/database/database.ts";
import { startPollRelay } from "../../packages/database/relay.ts";
import { createLog } from "../../packages/telemetry/log.ts";
import { sleep } from "../../packages/time/wait.ts";

const [url = "", name = ""] = process.argv.slice(2);
const HALF_MS = 400;

const database = openDatabase(url, name);
const told = openDatabase(url, `${name}-told`);
const tell = (rows: { key: string; body: Uint8Array }[]) =>
  told.sql`insert into told (who, key, number) select ${name}, key, number
    from unnest(${rows.map((row) => row.key)}::text[], ${rows.map((row) => row.body[0] ?? 0)}::int[]) as row (key, number)`;
const relay = startPollRelay(
  database,
  async (rows) => {
    const half = Math.ceil(rows.length / 2);
    await tell(rows.slice(0, half));
    process.stdout.write(`half of ${rows.length}\n`);
    await sleep(HALF_MS);
    await tell(rows.slice(half));
    process.stdout.write(`all of ${rows.length}\n`);
  },
  createLog((line) => process.stderr.write(`${name} ${line.event}\n`)),
);
process.on("SIGTERM", async () => {
  await relay.close();
  await Promise.all([database.close(), told.close()]);
  process.exit(0);
});
process.stdout.write("started\n");
