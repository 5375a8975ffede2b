import { StartError } from "../packages/database/start-error.ts";
import { privateHost } from "../packages/service/exposure.ts";
import { authority } from "../packages/service/outside.ts";
import { type Environment, readPort } from "../packages/service/variables.ts";

const ANSWER_MS_MAX = 8_000;

/**
 * `main.ts health`: returns when the process with this environment lives, which a container's health check asks without a shell or curl.
 * Not whether it can serve: while a database is away, whoever is started anew is no better off.
 */
export async function checkHealth(env: Environment): Promise<void> {
  const host = privateHost(env, env["OPS_HOST"]);
  const url = `http://${authority(host === "0.0.0.0" ? "127.0.0.1" : host, readPort(env, "OPS_PORT", 9091))}/healthz`;
  const signal = AbortSignal.timeout(ANSWER_MS_MAX);
  const found = await fetch(url, { signal }).then(
    ({ status }) => String(status),
    (error: unknown) => String(error),
  );
  if (found !== "200") throw new StartError(`Nothing healthy answers at ${url}: found ${found}.`);
}
