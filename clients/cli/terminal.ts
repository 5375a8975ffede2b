// All that is written: tables and sentences for people, JSON for programs. Nothing that comes from the shop can move the cursor.
import { styleText } from "node:util";

export interface Stream {
  write(text: string): unknown;
  isTTY?: boolean;
}

export type Tone = "good" | "bad" | "quiet" | "strong";
const FORMATS = { good: "green", bad: "red", quiet: "dim", strong: "bold" } as const;

export interface Terminal {
  line(text: string): void;
  /** Columns under their names; numbers to the right. Nothing but the names when there are no rows. */
  table(columns: string[], rows: (string | number | bigint)[][]): void;
  tone(tone: Tone, text: string): string;
}

export function openTerminal(stream: Stream, colours: boolean): Terminal {
  // The stream is given, so its own idea of colours is not asked for.
  const tone = (tone: Tone, text: string) =>
    colours ? styleText(FORMATS[tone], text, { validateStream: false }) : text;
  const line = (text: string) => void stream.write(`${text}\n`);
  return {
    line,
    tone,
    table(columns, rows) {
      const cells = rows.map((row) => row.map((cell) => clean(String(cell))));
      const widths = columns.map((name, i) => Math.max(...[name, ...cells.map((row) => row[i] ?? "")].map(widthOf)));
      const right = columns.map((_, i) => rows.length > 0 && rows.every((row) => typeof row[i] !== "string"));
      const laid = (row: string[]) =>
        row
          .map((cell, i) => padded(cell, widths[i] ?? 0, right[i] ?? false))
          .join("  ")
          .trimEnd();
      line(tone("quiet", laid(columns)));
      for (const row of cells) line(laid(row));
    },
  };
}

function padded(cell: string, width: number, right: boolean): string {
  const space = " ".repeat(Math.max(0, width - widthOf(cell)));
  return right ? space + cell : cell + space;
}

const widthOf = (text: string) => Bun.stringWidth(text);

/** Control and format characters, such as those that colour, move or turn around, become visible as \u001b. Of text that may have lines, lines stay. */
export function clean(text: string, lines = false): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (sign) =>
    lines && sign === "\n" ? sign : `\\u${(sign.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`,
  );
}
