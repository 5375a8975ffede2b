import type { Command, Loaded } from "./load.ts";

/** More than a client may have under way by default: an open loop waits for nobody. */
const REQUESTS_AT_ONCE = "20000";

/** The process that makes the load. */
export interface Load {
  pid: number;
  run(command: Command): Promise<Loaded>;
  close(): void;
}

export function startLoad(): Load {
  let waiting: PromiseWithResolvers<Loaded> | undefined;
  const child = Bun.spawn([process.execPath, `${import.meta.dir}/load.ts`], {
    env: { ...process.env, BUN_CONFIG_MAX_HTTP_REQUESTS: REQUESTS_AT_ONCE },
    stdin: "ignore",
    stdout: "inherit",
    stderr: "inherit",
    serialization: "json",
    ipc: (loaded: Loaded) => waiting?.resolve(loaded),
    onExit: (_child, code) => waiting?.reject(new Error(`the load generator ended with ${code}`)),
  });
  return {
    pid: child.pid,
    run(command) {
      waiting = Promise.withResolvers<Loaded>();
      child.send(command);
      return waiting.promise;
    },
    close: () => child.kill(),
  };
}
