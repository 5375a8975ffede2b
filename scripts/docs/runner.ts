// Runs a page as a reader would: every block, from top to bottom, on ports and a data folder of its own.
import { freePorts, PORTS } from "../copy/ports.ts";
import { BANNER } from "../copy/start.ts";
import { type Block, blocksOf, shows } from "./page.ts";
import { type Background, openShell, type Shell } from "./shell.ts";

const EVENTUALLY_MS_MAX = 60_000;
const AGAIN_MS = 250;
const NAME_CHARS_MAX = 70;
const START_MS_MAX = 120_000;

export interface Place {
  /** Variables that put a copy beside others. */
  env: Record<string, string>;
  /** What the page shows, and what stands there in this place: default ports and own ones. */
  instead: [shown: string, here: string][];
}

export async function placeOf(dataDir: string): Promise<Place> {
  const ports = await freePorts();
  const instead = Object.entries(PORTS).map(([name, shown]): [string, string] => [String(shown), ports[name] ?? ""]);
  return { env: { ...ports, DATA_DIR: dataDir }, instead: [...instead, [".data", dataDir]] };
}

export interface Result {
  name: string;
  /** Undefined when it passed. */
  problem?: string;
  skipped?: string;
}

/** Stops at the first block that fails: the ones after it build on it. `then` sees the page's shell while its servers still run. */
export async function runPage(
  path: string,
  text: string,
  cwd: string,
  place: Place,
  report: (result: Result) => void,
  then: (shell: Shell) => Promise<void> = async () => {},
): Promise<void> {
  const blocks = blocksOf(path, text);
  const shell = openShell(cwd, { ...process.env, ...CLEARED, ...place.env });
  const over = () => void shell.close().finally(() => process.exit(1));
  process.once("SIGINT", over).once("SIGTERM", over);
  let server: Background | undefined;
  try {
    for (const block of blocks) {
      const name = `${path}:${block.line} ${block.steps[0]?.code.split("\n")[0]?.slice(0, NAME_CHARS_MAX)}`;
      if (block.skip) {
        report({ name, skipped: block.skip });
        continue;
      }
      if (block.background && server && !(await server.stop())) {
        report({ name, problem: `the server before this did not end by ^C:\n${server.said()}` });
        return;
      }
      const outcome = block.background ? await startServer(shell, block, place) : await runBlock(shell, block, place);
      if (typeof outcome === "object") server = outcome;
      const problem = typeof outcome === "string" ? outcome : undefined;
      report(problem === undefined ? { name } : { name, problem });
      if (problem !== undefined) {
        if (server) process.stdout.write(`${server.said().slice(-4_000)}\n`);
        return;
      }
    }
    await then(shell);
    if (server) {
      const ended = (await server.stop()) ? {} : { problem: "it had to be killed" };
      report({ name: `${path}: the server ends by ^C`, ...ended });
    }
  } finally {
    process.off("SIGINT", over).off("SIGTERM", over);
    await shell.close();
  }
}

/** A reader's machine has none of these set. */
const CLEARED = Object.fromEntries(
  [
    "HOST",
    "ADMIN_EMAIL",
    "ADMIN_PASSWORD",
    "DATABASE_URL",
    "TIME_SCALE",
    "DEMO",
    "KITCHEN_STAFF",
    "SMTP_URL",
    "PUBLIC_URL",
    "RATE_LIMITS",
    "RELAY",
  ].map((name) => [name, undefined]),
);

async function runBlock(shell: Shell, block: Block, place: Place): Promise<string | undefined> {
  const end = performance.now() + (block.eventually ? EVENTUALLY_MS_MAX : 0);
  for (;;) {
    const problem = await runOnce(shell, block, place);
    if (problem === undefined || performance.now() > end) return problem;
    await Bun.sleep(AGAIN_MS);
  }
}

async function runOnce(shell: Shell, { steps }: Block, place: Place): Promise<string | undefined> {
  for (const { code, output } of steps) {
    const said = await shell.run(code);
    if (said.code !== 0) return `${code}\nended with ${said.code} and said:\n${said.output}`;
    if (output && !shows(here(output, place), said.output))
      return `${code}\nsaid:\n${said.output}\nexpected:\n${here(output, place).join("\n")}`;
  }
  return undefined;
}

/** Ready with the banner, or, where the block shows its output, with all of that. */
async function startServer(shell: Shell, { steps }: Block, place: Place): Promise<Background | string> {
  const [step, ...more] = steps;
  if (!step || more.length > 0) return "a background block has one command";
  const expected = step.output ? ["…", ...here(step.output, place), "…"] : ["…", `  ${BANNER}`, "…"];
  const server = await shell.start(step.code);
  for (const end = performance.now() + START_MS_MAX; ; await Bun.sleep(AGAIN_MS)) {
    if (shows(expected, server.said())) return server;
    if (!server.running() || performance.now() > end) {
      await server.stop();
      return `${step.code}\nsaid:\n${server.said()}\nexpected:\n${expected.join("\n")}`;
    }
  }
}

function here(output: string[], { instead }: Place): string[] {
  return output.map((line) => {
    const words = line.split(/(?<![\w.])(?=[\w.])|(?<=[\w.])(?![\w.])/);
    return words.map((word) => instead.find(([shown]) => shown === word)?.[1] ?? word).join("");
  });
}
