// The runner of pages must see every block and every difference; a page it passes over proves nothing.
import { expect, test } from "bun:test";
import { ROOT } from "../tree.ts";
import { blocksOf, shows } from "./page.ts";
import { type Result, runPage } from "./runner.ts";
import { openShell } from "./shell.ts";

const page = (...lines: string[]) => blocksOf("a.md", lines.join("\n"));

test("sh and console blocks are found in order, others are not commands", () => {
  const found = page(
    "# A",
    "```sh",
    "one",
    "two",
    "```",
    "```text",
    "not one",
    "```",
    "",
    "```console",
    "$ three",
    "out",
    "```",
  );
  expect(found.map(({ line, kind, steps }) => ({ line, kind, steps }))).toEqual([
    { line: 2, kind: "sh", steps: [{ code: "one\ntwo" }] },
    { line: 10, kind: "console", steps: [{ code: "three", output: ["out"] }] },
  ]);
});

test("a block says that it is a server, takes a moment, or is left out for a reason", () => {
  const found = page(
    "```sh background",
    "a",
    "```",
    "```sh eventually",
    "b",
    "```",
    '```sh skip="too long"',
    "c",
    "```",
  );
  expect(found.map(({ background, eventually, skip }) => ({ background, eventually, skip }))).toEqual([
    { background: true, eventually: false, skip: undefined },
    { background: false, eventually: true, skip: undefined },
    { background: false, eventually: false, skip: "too long" },
  ]);
});

test.each([
  [["```bash", "a", "```"], "expected sh, console"],
  [["```", "a", "```"], "expected sh, console"],
  [["```sh skip", "a", "```"], "skips without a reason"],
  [['```sh skip=" "', "a", "```"], "skips without a reason"],
  [["```sh hidden", "a", "```"], "has the attribute hidden"],
  [["```sh", "a"], "nothing closes"],
  [["```console", "out", "```"], 'does not begin with "$ "'],
])("there is no way around the runner: %p", (lines, says) => {
  expect(() => page(...lines)).toThrow(says);
});

test("an output is what is shown, line by line; … is anything", () => {
  expect(shows(["a", "b"], "a\nb\n")).toBe(true);
  expect(shows(["a", "b"], "a\nb\nc\n")).toBe(false);
  expect(shows(["a", "b"], "a\n")).toBe(false);
  expect(shows(["a"], "ab\n")).toBe(false);
  expect(shows(["a.c"], "abc\n")).toBe(false);
  expect(shows(["id … at …"], "id 17 at noon\n")).toBe(true);
  expect(shows(["…", "b", "…"], "a\nb\n\nc\n")).toBe(true);
  expect(shows(["…", "b", "…"], "a\nbc\n")).toBe(false);
});

test("what a block sets, the next one finds; the first command that fails ends its block, also inside a function", async () => {
  const shell = openShell(ROOT, { ...process.env });
  try {
    expect(await shell.run("word() { echo $1; }\nX=1")).toEqual({ code: 0, output: "" });
    expect(await shell.run('word "x is $X"\ncat')).toEqual({ code: 0, output: "x is 1\n" });
    expect(await shell.run("broken() { echo before; false; echo inside; }\nbroken\necho after")).toEqual({
      code: 1,
      output: "before\n",
    });
    expect(await shell.run("false | cat\necho after")).toEqual({ code: 1, output: "" });
    expect(await shell.run("Y=$(false)\necho after")).toEqual({ code: 1, output: "" });
    expect(await shell.run("echo still there")).toEqual({ code: 0, output: "still there\n" });
  } finally {
    await shell.close();
  }
});

test("a server runs beside the page until ^C, and whatever it started ends with it", async () => {
  const shell = openShell(ROOT, { ...process.env });
  try {
    const server = await shell.start("echo up; sleep 600 | sleep 600");
    while (!server.said().includes("up")) await Bun.sleep(10);
    expect(server.running()).toBe(true);
    expect(await shell.run("echo beside")).toEqual({ code: 0, output: "beside\n" });
    expect(await server.stop()).toBe(true);
    expect(server.running()).toBe(false);
  } finally {
    await shell.close();
  }
});

const place = { env: { PORT: "4711" }, instead: [["8080", "4711"]] as [string, string][] };

async function outcomes(...lines: string[]): Promise<Result[]> {
  const found: Result[] = [];
  await runPage("a.md", lines.join("\n"), ROOT, place, (result) => found.push(result));
  return found;
}

test("a page passes when its servers come up, its commands succeed and say what it shows, in this place's own ports", async () => {
  const server = [
    "```console background",
    '$ printf "  Bodega is open.\\n\\n  Edge  :$PORT\\n"; sleep 600',
    "  Bodega is open.",
    "",
    "  Edge  :8080",
    "```",
  ];
  const found = await outcomes(...server, "```console", "$ echo $PORT", "8080", "```");
  expect(found.map(({ name, problem }) => [name.split(" ")[0], problem])).toEqual([
    ["a.md:1", undefined],
    ["a.md:7", undefined],
    ["a.md:", undefined],
  ]);
});

test("a page stops at the first command that fails or says something else", async () => {
  const failing = await outcomes("```sh", "false", "```", "```sh", "true", "```");
  expect(failing.map(({ problem }) => problem?.split("\n")[1])).toEqual(["ended with 1 and said:"]);
  const other = await outcomes("```console", "$ echo 1", "2", "```", "```sh", "true", "```");
  expect(other.map(({ problem }) => problem)).toEqual(["echo 1\nsaid:\n1\n\nexpected:\n2"]);
});

test("a server that ends instead of serving fails its block", async () => {
  const [result, ...more] = await outcomes("```sh background", "echo no", "```", "```sh", "true", "```");
  expect(result?.problem).toContain("said:\nno");
  expect(more).toEqual([]);
});

test("what takes a moment is tried again", async () => {
  const found = await outcomes("```sh", "N=0", "```", "```sh eventually", "N=$((N + 1))", "test $N -ge 3", "```");
  expect(found.map(({ problem }) => problem)).toEqual([undefined, undefined]);
});
