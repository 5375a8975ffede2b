import { StartError } from "../packages/database/start-error.ts";
import { systemClock } from "../packages/service/clock.ts";
import { createLog, jsonLine, readableLine, together } from "../packages/telemetry/log.ts";
import type { Environment } from "./all.ts";
import { readSettings } from "./settings.ts";
import { type Stops, start } from "./start.ts";

/** Starts Bodega and returns when it serves. Throws StartError with a sentence for what a person can mend. */
export async function main(args: string[], env: Environment = process.env): Promise<void> {
  const settings = readSettings(args, env);
  const output = together((text) => process.stdout.write(text));
  process.on("exit", output.flush);
  const log = createLog((line) => output.put(process.stdout.isTTY ? readableLine(line) : jsonLine(line)));
  const stops: Stops = [];
  const stop = once(async () => {
    for (const close of stops.toReversed()) await close();
  });
  const starting = start(settings, env, log, stops);
  onSignal(async (signal) => {
    log.info("stopping", { signal });
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
