import type { Told } from "../time/followed.ts";
import { openDatabase } from "./database.ts";

/** PostgreSQL's clock: one statement a question, on a connection of its own, so that its answer waits for nobody else's. */
export function openServerTime(url: string): { ask(): Promise<Told>; close(): Promise<void> } {
  const { sql, close } = openDatabase(url, "clock");
  return {
    async ask() {
      const [row] = await sql<{ ms: number }[]>`select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms`;
      if (!row) throw new Error("the server told no time");
      return { ms: row.ms, wrongByMs: 0 };
    },
    close,
  };
}
