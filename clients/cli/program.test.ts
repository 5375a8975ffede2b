import { expect, test } from "bun:test";
import { join } from "node:path";
import { run } from "../../scripts/command.ts";

const MAIN = join(import.meta.dir, "main.ts");

test("help has the commands under headings, each command under one", async () => {
  const { code, output } = await run([process.execPath, MAIN, "--help"]);
  const headings = Array.from(output.matchAll(/^(\w.*):$/gm), ([, heading]) => heading);
  expect([code, headings]).toEqual([
    0,
    ["Options", "The shop", "Is it well", "Seed 1's own words", "Who you are", "This command"],
  ]);
  const commands = Array.from(output.matchAll(/^ {2}([a-z][\w-]+)/gm), ([, command]) => command ?? "");
  expect(commands).toEqual(expect.arrayContaining(["orders", "doctor", "create-user", "login", "complete", "help"]));
  expect(new Set(commands).size).toBe(commands.length);
});

test("a reader that has read enough ends the command without a word", async () => {
  const piped = 'set -o pipefail; "$0" "$1" --help | true';
  expect(await run(["bash", "-c", piped, process.execPath, MAIN])).toEqual({ code: 0, output: "" });
});
