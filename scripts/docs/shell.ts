// The terminal of a reader: one bash for a page, its blocks typed one after the other, its servers in the background.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Outcome } from "../command.ts";

const BLOCK_MS_MAX = 120_000;
const STOP_MS_MAX = 60_000;
const LOOK_MS = 50;

export interface Shell {
  /** Runs commands until the first that fails, in the one bash of this page: what they set stays set. */
  run(code: string): Promise<Outcome>;
  /** Starts commands and leaves them running. */
  start(code: string): Promise<Background>;
  /** Ends all there is, the hard way if need be. */
  close(): Promise<void>;
}

export interface Background {
  said(): string;
  running(): boolean;
  /** What ^C does to all of it. False when it had to be killed. */
  stop(): Promise<boolean>;
}

export function openShell(cwd: string, env: Record<string, string | undefined>): Shell {
  const folder = mkdtempSync(join(tmpdir(), "bodega-page-"));
  const bash = Bun.spawn(["bash", "--noprofile", "--norc"], {
    cwd,
    env,
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
    // A group of its own, so that all that runs in it can be ended.
    detached: true,
  });
  const answers = linesOf(bash.stdout);
  const started: Background[] = [];
  let count = 0;
  type("set -o pipefail -o errtrace");

  function type(line: string) {
    bash.stdin.write(`${line}\n`);
    bash.stdin.flush();
  }

  /** Commands go through a file: bash reads its own commands from where they would read their input. */
  function file(code: string) {
    count += 1;
    const path = join(folder, String(count));
    writeFileSync(path, `${code}\n`);
    return path;
  }

  async function answer(): Promise<string> {
    const late = AbortSignal.timeout(BLOCK_MS_MAX);
    const over = new Promise<never>((_, reject) => {
      late.addEventListener("abort", () => reject(new Error(`no end after ${BLOCK_MS_MAX / 1_000} s`)), { once: true });
    });
    return Promise.race([answers(), over]);
  }

  return {
    async run(code) {
      const path = file(code);
      type(`trap 'return 1 2>/dev/null' ERR; . ${path} >${path}.out 2>&1 </dev/null; echo $?; trap - ERR`);
      return { code: Number(await answer()), output: readFileSync(`${path}.out`, "utf8") };
    },
    async start(code) {
      const path = file(code);
      writeFileSync(`${path}.out`, "");
      // Job control gives it a process group, as in a terminal.
      type(`set -m; ( . ${path} ) >${path}.out 2>&1 </dev/null & echo $!; set +m`);
      const background = follow(Number(await answer()), `${path}.out`);
      started.push(background);
      return background;
    },
    async close() {
      for (const background of started) await background.stop();
      if (bash.exitCode === null) signal(bash.pid, "SIGKILL");
      await bash.exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function follow(group: number, out: string): Background {
  const running = () => signal(group, 0);
  return {
    running,
    said: () => readFileSync(out, "utf8"),
    async stop() {
      signal(group, "SIGINT");
      for (let waited = 0; running(); waited += LOOK_MS) {
        if (waited > STOP_MS_MAX) {
          signal(group, "SIGKILL");
          return false;
        }
        await Bun.sleep(LOOK_MS);
      }
      return true;
    },
  };
}

/** To a whole process group. False when nothing of it is left. */
function signal(group: number, name: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-group, name);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ESRCH") return false;
    throw error;
  }
}

function linesOf(stream: ReadableStream<Uint8Array>): () => Promise<string> {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let text = "";
  return async () => {
    for (;;) {
      const end = text.indexOf("\n");
      if (end >= 0) {
        const line = text.slice(0, end);
        text = text.slice(end + 1);
        return line;
      }
      const { done, value } = await reader.read();
      if (done) throw new Error("the shell of this page has ended");
      text += decoder.decode(value, { stream: true });
    }
  };
}
