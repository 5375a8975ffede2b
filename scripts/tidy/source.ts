// Reading source text for the house rules: small and blunt on purpose, a parser would be the slower way to the same answer.

export type File = { path: string; text: string };
export type Finding = { path: string; line: number; says: string };

export const isTest = (path: string) =>
  /\.test\.tsx?$/.test(path) || /\/contract\.ts$/.test(path) || /^tests\//.test(path);
export const isScript = (path: string) => /\.tsx?$/.test(path);
export const isProduct = (path: string) => /^(packages|services)\//.test(path);

export function lineOf(text: string, index: number): number {
  return text.slice(0, index).split("\n").length;
}

/** Blanks comments, so that a rule never trips over its own explanation. Lines and columns stay where they were. */
export function withoutComments(file: File): string {
  if (file.path.endsWith(".sql")) return file.text.replace(/--[^\n]*|\/\*[\s\S]*?\*\//g, blank);
  return file.text.replace(TOKENS, (token) => (/^\/[/*]/.test(token) ? blank(token) : token));
}

/** Blanks comments and quoted strings: what is left is syntax. Templates stay, their substitutions are code. */
export function withoutWords(file: File): string {
  return file.text.replace(TOKENS, (token) => (token.startsWith("`") ? token : blank(token)));
}

// Strings first, so that "https://…" is no comment; a template may span lines, a quoted string may not.
const TOKENS = /"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`|\/\/[^\n]*|\/\*[\s\S]*?\*\//g;

function blank(text: string): string {
  return text.replace(/[^\n]/gu, (letter) => " ".repeat(letter.length));
}

/** Every module the file imports: relative ones as paths from the root, packages by name. */
export function importsOf(file: File): { to: string; line: number }[] {
  const code = withoutComments(file);
  return Array.from(code.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*["']([^"'\n]+)["']/g), (match) => ({
    to: resolve(file.path, match[1] ?? ""),
    line: lineOf(code, match.index),
  }));
}

/** Every outermost sql`…` of the file; fragments nested in it belong to it. */
export function statementsOf(file: File): { text: string; line: number }[] {
  const found: { text: string; line: number }[] = [];
  for (let match = TAG.exec(file.text); match; match = TAG.exec(file.text)) {
    const end = templateEnd(file.text, TAG.lastIndex);
    found.push({ text: file.text.slice(TAG.lastIndex, end), line: lineOf(file.text, match.index) });
    TAG.lastIndex = end + 1;
  }
  return found;
}

/** The SQL of the file and nothing else, at its place: migrations whole, sql`…` without what is put into it. */
export function onlySql(file: File): string {
  if (file.path.endsWith(".sql")) return withoutComments(file);
  const sql = blank(file.text).split("");
  for (const match of file.text.matchAll(TAG)) {
    const end = templateEnd(file.text, match.index + match[0].length);
    for (let i = match.index + match[0].length; i < end; i++) {
      if (file.text.startsWith("${", i)) i = substitutionEnd(file.text, i + 2);
      else sql[i] = file.text[i] ?? "";
    }
  }
  return sql.join("").replace(/--[^\n]*/g, blank);
}

const TAG = /\bsql\s*(?:<[^`;]*>)?\s*`/g;

function templateEnd(text: string, start: number): number {
  for (let i = start; i < text.length; i++) {
    if (text[i] === "\\") i++;
    else if (text[i] === "`") return i;
    else if (text.startsWith("${", i)) i = substitutionEnd(text, i + 2);
  }
  return text.length;
}

function substitutionEnd(text: string, start: number): number {
  let depth = 1;
  for (let i = start; i < text.length; i++) {
    if (text[i] === "`") i = templateEnd(text, i + 1);
    else if (text[i] === "{") depth++;
    else if (text[i] === "}" && --depth === 0) return i;
  }
  return text.length;
}

/** The path a relative specifier names, seen from the file that says it. A package name comes back unchanged. */
export function resolve(from: string, to: string): string {
  if (!to.startsWith(".")) return to;
  const parts = from.split("/").slice(0, -1);
  for (const part of to.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "." && part !== "") parts.push(part);
  }
  return parts.join("/");
}
