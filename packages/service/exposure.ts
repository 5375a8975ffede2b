import { isLoopback } from "./address.ts";
import type { Environment } from "./variables.ts";

/** The setting that lets other machines reach this process, such as HOST=0.0.0.0; undefined where only this machine can. */
export function exposedBy(env: Environment): string | undefined {
  const { HOST = "", PUBLIC_URL = "" } = env;
  if (HOST && !isLoopback(HOST)) return `HOST=${HOST}`;
  const host = URL.canParse(PUBLIC_URL) ? new URL(PUBLIC_URL).hostname : "";
  return host && !isLoopback(host) ? `PUBLIC_URL=${PUBLIC_URL}` : undefined;
}

/** Where a port for operators listens: on what its own variable says; left out, never beyond this machine. */
export function privateHost(env: Environment, named: string | undefined): string {
  const { HOST = "" } = env;
  return named || (HOST && isLoopback(HOST) ? HOST : "127.0.0.1");
}
