import { StartError } from "../packages/database/start-error.ts";
import { INSTANCE } from "../packages/service/instance.ts";
import type { Environment } from "../packages/service/variables.ts";
import { VERSION } from "../packages/service/version.ts";
import type { Export } from "../packages/telemetry/export.ts";
import { createLog, jsonLine, type Log, readableLine, together } from "../packages/telemetry/log.ts";
import { systemClock } from "../packages/time/clock.ts";
import { checkHealth } from "./health.ts";
import type { Settings } from "./settings.ts";
import type { Stops } from "./start.ts";

/** Starts Bodega and returns when it serves. Throws StartError with a sentence for what a person can mend. */
export async function main(args: string[], env: Environment = process.env): Promise<void> {
  if (args[0] === "health") return await checkHealth(env);
  // A container asks for its health every few seconds: what is checked is not loaded for that.
  const { readSettings } = await import("./settings.ts");
  const { start } = await import("./start.ts");
  const settings = await readSettings(args, env);
  const output = together((text) => process.stdout.write(text));
  process.on("exit", output.flush);
  let exported: Export | undefined;
  const log = createLog((line) => {
    output.put(process.stdout.isTTY ? readableLine(line) : jsonLine(line));
    exported?.line(line);
  });
  exported = await exportTo(settings, log);
  const stops: Stops = exported ? [exported.close] : [];
  const stop = once(async () => {
    for (const close of stops.toReversed()) await close();
  });
  const ending = new AbortController();
  const starting = start(settings, log, stops, ending.signal);
  onSignal(async (signal) => {
    log.info("stopping", { signal });
    ending.abort();
    await Promise.allSettled([starting]);
    await stop();
  });
  try {
    await starting;
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Without a place to send to, OpenTelemetry's SDK is not even loaded. */
async function exportTo({ exporting }: Settings, log: Log): Promise<Export | undefined> {
  if (!exporting) return undefined;
  const { startExport } = await import("../packages/telemetry/export.ts");
  const say = (event: string, fields: Record<string, string>) => log.warn(event, fields);
  return startExport({ ...exporting, say, instance: INSTANCE, version: VERSION });
}

/** `bun run` passes on the ^C that the terminal has sent to us already: signals this close together are one. */
const SAME_SIGNAL_MS = 1_000;

/** Ends the process after `stop`; a second signal ends it at once. PostgreSQL keeps what was committed either way. */
function onSignal(stop: (signal: string) => Promise<void>) {
  const { now } = systemClock();
  let stoppingSince: number | undefined;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      if (stoppingSince !== undefined) {
        if (now().getTime() - stoppingSince > SAME_SIGNAL_MS) process.exit(1);
        return;
      }
      stoppingSince = now().getTime();
      stop(signal).then(
        () => process.exit(0),
        (error: unknown) => {
          process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
          process.exit(1);
        },
      );
    });
  }
}

function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return () => {
    done ??= work();
    return done;
  };
}

if (import.meta.main) {
  await main(process.argv.slice(2)).catch((error: unknown) => {
    if (!(error instanceof StartError)) throw error;
    process.stderr.write(`\n${error.message}\n`);
    process.exit(1);
  });
}
