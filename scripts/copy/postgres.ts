// The private PostgreSQL of a copy, for an operator.
import { readFileSync } from "node:fs";
import { join } from "node:path";

export interface CopysPostgres {
  pid: number;
  /** Its superuser's URL of a database. */
  urlOf(database: string): string;
}

/** Of a copy that runs on this folder of data. */
export function postgresIn(dataDir: string): CopysPostgres {
  const [pid, , , port] = readFileSync(join(dataDir, "postgres", "postmaster.pid"), "utf8").split("\n");
  const password = readFileSync(join(dataDir, "superuser-password"), "utf8").trim();
  return { pid: Number(pid), urlOf: (database) => `postgres://postgres:${password}@127.0.0.1:${port}/${database}` };
}
