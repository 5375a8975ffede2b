// What a page says a reader can type: its fenced `sh` and `console` blocks, in order.

export interface Block {
  /** Of the opening fence, from 1. */
  line: number;
  kind: "sh" | "console";
  /** The commands; for `console`, each with the output it shows. */
  steps: Step[];
  /** A server: started and left running until the next one, or the end of the page. */
  background: boolean;
  /** Tried again until it succeeds, as a reader would who finds that something takes a moment. */
  eventually: boolean;
  /** Why nothing runs it; the only way out. */
  skip?: string;
}

export interface Step {
  code: string;
  /** `…` stands for anything on its line, or alone on one for any lines. */
  output?: string[];
}

const SHELLS = ["bash", "shell", "zsh", "shell-session", "sh-session", ""];
const FLAGS = ["background", "eventually"];

export function blocksOf(path: string, markdown: string): Block[] {
  const lines = markdown.split("\n");
  const blocks: Block[] = [];
  for (let at = 0; at < lines.length; at += 1) {
    const fence = /^(\s*)(`{3,}|~{3,})\s*([\w-]*)(.*)$/.exec(lines[at] ?? "");
    if (!fence) continue;
    const [, indent = "", marks = "", word = "", attributes = ""] = fence;
    const end = lines.findIndex((line, index) => index > at && line.trim() === marks);
    if (end < 0) throw new Error(`${path}:${at + 1} opens a block that nothing closes`);
    const body = lines.slice(at + 1, end).map((line) => (line.startsWith(indent) ? line.slice(indent.length) : line));
    if (SHELLS.includes(word))
      throw new Error(
        `${path}:${at + 1} says ${word || "nothing"}: expected sh, console, or a language that is no shell`,
      );
    if (word === "sh" || word === "console") blocks.push(block(path, at + 1, word, attributes, body));
    at = end;
  }
  return blocks;
}

function block(path: string, line: number, kind: Block["kind"], attributes: string, body: string[]): Block {
  const words = Array.from(attributes.matchAll(/([\w-]+)(?:="([^"]*)")?/g), ([, name = "", value]) => ({
    name,
    value,
  }));
  const skip = words.find(({ name }) => name === "skip");
  const odd = words.find(({ name, value }) => !(FLAGS.includes(name) && value === undefined) && name !== "skip");
  if (odd)
    throw new Error(`${path}:${line} has the attribute ${odd.name}: expected ${FLAGS.join(", ")} or skip="reason"`);
  if (skip && !skip.value?.trim()) throw new Error(`${path}:${line} skips without a reason`);
  const steps = kind === "sh" ? [{ code: body.join("\n") }] : consoleSteps(path, line, body);
  const has = (flag: string) => words.some(({ name }) => name === flag);
  const read = { line, kind, steps, background: has("background"), eventually: has("eventually") };
  return skip?.value ? { ...read, skip: skip.value } : read;
}

function consoleSteps(path: string, line: number, body: string[]): Required<Step>[] {
  const steps: Required<Step>[] = [];
  for (const text of body) {
    const last = steps.at(-1);
    if (text.startsWith("$ ")) steps.push({ code: text.slice(2), output: [] });
    else if (!last) throw new Error(`${path}:${line} is a console block that does not begin with "$ "`);
    else if (text.startsWith("> ") && last.output.length === 0) last.code += `\n${text.slice(2)}`;
    else last.output.push(text);
  }
  return steps;
}

/** Whether what was said is what the page shows; trailing space and empty lines at the end do not count. */
export function shows(expected: string[], said: string): boolean {
  const pattern = trimmed(expected)
    .map((line) =>
      line.trim() === "…" ? "(?:.*\n)*?" : `${line.trimEnd().split("…").map(RegExp.escape).join(".*")}[ \t]*\n`,
    )
    .join("");
  const text = trimmed(said.split("\n")).map((line) => `${line}\n`);
  return new RegExp(`^${pattern}$`).test(text.join(""));
}

function trimmed(lines: string[]): string[] {
  const end = lines.findLastIndex((line) => line.trim() !== "");
  return lines.slice(0, end + 1);
}
