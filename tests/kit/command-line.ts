// A shop as people start it, and `bodega` as they type it: both are processes of their own.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts } from "../../scripts/copy/ports.ts";
import { startCopy } from "../../scripts/copy/start.ts";
import { ROOT } from "../../scripts/tree.ts";
import { serverVariables } from "./servers/real-ports.ts";

export const ADMIN = { email: "admin@bodega.test", password: "correct horse battery" };

export interface Ended {
  code: number;
  out: string;
  err: string;
}

export interface CommandLine {
  /** The variables of the shop, and where the command keeps its sessions. */
  env: Record<string, string>;
  /** Runs it to its end. */
  bodega(...words: string[]): Promise<Ended>;
  /** With other variables, or something to read. */
  with(more: { env?: Record<string, string>; stdin?: string }): CommandLine["bodega"];
  /** What it answered with --json; an error when it did not end well. */
  json(...words: string[]): Promise<unknown>;
  close(): Promise<void>;
}

/** An open shop, in which the admin is logged in. */
export async function openCommandLine(more: Record<string, string> = {}): Promise<CommandLine> {
  const folder = mkdtempSync(join(tmpdir(), "bodega-cli-"));
  const env = {
    ...(await freePorts()),
    ...(await serverVariables()),
    DATA_DIR: join(folder, "data"),
    ADMIN_PASSWORD: ADMIN.password,
    ...more,
  };
  const copy = startCopy({ env, logFile: join(folder, "log") });
  const close = async () => {
    await copy.end();
    rmSync(folder, { recursive: true, force: true });
  };
  await copy.open().catch(async (error: unknown) => {
    await close();
    throw error;
  });
  const own = { ...env, XDG_CONFIG_HOME: join(folder, "config"), BODEGA_PASSWORD: "four words are enough" };
  const line: CommandLine = {
    env: own,
    bodega: (...words) => run(words, own),
    with:
      ({ env: other = {}, stdin = "" }) =>
      (...words) =>
        run(words, { ...own, ...other }, stdin),
    async json(...words) {
      const { code, out, err } = await run(["--json", ...words], own);
      if (code !== 0) throw new Error(`bodega ${words.join(" ")} ended with ${code}: ${err}`);
      return JSON.parse(out);
    },
    close,
  };
  await line.with({ stdin: `${ADMIN.password}\n` })("login", ADMIN.email, "--password-stdin");
  return line;
}

async function run(words: string[], env: Record<string, string>, stdin = ""): Promise<Ended> {
  const child = Bun.spawn([process.execPath, join(ROOT, "clients/cli/main.ts"), ...words], {
    env: { PATH: process.env["PATH"] ?? "", HOME: env["DATA_DIR"] ?? "", ...env },
    stdin: new Blob([stdin]),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { code, out, err };
}
