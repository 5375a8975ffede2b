import { expect, test } from "bun:test";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ENV, run } from "../../scripts/command.ts";
import { eventually } from "../../tests/kit/eventually.ts";
import { testUnless } from "../../tests/kit/test-unless.ts";

const MAIN = join(import.meta.dir, "main.ts");
const bodega = (...words: string[]) => run([process.execPath, MAIN, ...words]);

/** The words that are offered, without what is said of them. */
async function offered(...words: string[]): Promise<string[]> {
  const { output } = await bodega("complete", "--", ...words);
  return output.split("\n").flatMap((line) => (/^[\w-]+(?=\t|$)/.exec(line) ?? []).slice(0, 1));
}

test("groups, their commands, and the options of a command are offered", async () => {
  expect(await offered("")).toEqual(expect.arrayContaining(["login", "orders", "doctor", "buy-marketplace-item"]));
  expect(await offered("orders", "")).toEqual(
    expect.arrayContaining(["place", "pay", "show", "timeline", "watch", "cancel", "refund"]),
  );
  expect(await offered("orders", "re")).toEqual(["refund"]);
  expect(await offered("orders", "refund", "--")).toEqual(expect.arrayContaining(["--reason", "--amount"]));
});

test.each(["bash", "zsh", "fish"])("the script for %s asks the program", async (shell) => {
  const { code, output } = await bodega("complete", shell);
  expect(code).toBe(0);
  expect(output).toContain("bodega complete --");
});

/** What a person has done once for the completion of that shell; in bash the one function of the package bash-completion that the script asks for. */
const SHELLS = {
  bash: {
    starts: ["bash", "--norc", "--noprofile", "-i"],
    setUp: `
_get_comp_words_by_ref() { cur="\${COMP_WORDS[COMP_CWORD]}" prev="" words=("\${COMP_WORDS[@]}") cword=$COMP_CWORD; }
`,
  },
  zsh: { starts: ["zsh", "-f", "-i"], setUp: "autoload -Uz compinit; compinit -u -D\n" },
  fish: { starts: ["fish", "--no-config", "-i"], setUp: "" },
};

for (const [shell, { starts, setUp }] of Object.entries(SHELLS))
  testUnless(Bun.which(shell) === null ? `there is no ${shell} here` : undefined)(
    `in ${shell} the key completes a command, which then runs`,
    async () => {
      const folder = mkdtempSync(join(tmpdir(), "bodega-completion-"));
      const ran = join(folder, "ran");
      writeFileSync(join(folder, "script"), `${setUp}${(await bodega("complete", shell)).output}`);
      const program = `[ "$1" = complete ] && exec "${process.execPath}" "${MAIN}" "$@"; echo "$@" >"${ran}"`;
      writeFileSync(join(folder, "bodega"), `#!/bin/sh\n${program}\n`);
      chmodSync(join(folder, "bodega"), 0o755);
      const typed = openTerminal(starts, { PATH: `${folder}:${ENV.PATH}`, HOME: folder });
      try {
        // The word is not on the line that is typed, only in its answer.
        await typed.until(`source ${folder}/script; echo RE''ADY\r`, "READY");
        await typed.until("bodega kitchen ha\t", "nd-over");
        typed.write("\r");
        await eventually(() => existsSync(ran) && readFileSync(ran, "utf8").endsWith("\n"));
        expect(readFileSync(ran, "utf8")).toBe("kitchen hand-over\n");
      } finally {
        await typed.close();
        rmSync(folder, { recursive: true, force: true });
      }
    },
  );

/** A shell as a person has it before them. */
function openTerminal(command: string[], env: Record<string, string>) {
  let shown = "";
  const child = Bun.spawn(command, {
    env: { ...ENV, TERM: "xterm", ...env },
    terminal: {
      data(_, bytes) {
        shown += Buffer.from(bytes).toString();
      },
    },
  });
  const write = (keys: string) => void child.terminal?.write(keys);
  return {
    write,
    /** Until it is shown behind what was before. */
    async until(keys: string, wanted: string) {
      const from = shown.length;
      write(keys);
      await eventually(() => Bun.stripANSI(shown.slice(from)).includes(wanted));
    },
    async close() {
      child.kill("SIGHUP");
      await child.exited;
      child.terminal?.close();
    },
  };
}
