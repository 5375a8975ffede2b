import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { sleep } from "../time/wait.ts";
import type { Database, Sql } from "./database.ts";
import { LOCKS } from "./lock-numbers.ts";
import { StartError } from "./start-error.ts";

const PLATFORM = new URL("./migrations/", import.meta.url);

/**
 * Applies the platform's and then the service's migrations, each once and in a transaction of its own, in the order of their names. Several processes may do this at
 * once: one does it, the others wait. A file whose first lines say `-- no transaction` is run as it is, such as one statement `create index concurrently if not
 * exists`; it must bear being run again. One that says `-- contracts` takes away what older versions of the program use: who does not know that file is refused with a
 * StartError from then on. `told` hears of what takes long. Throws when a file that was applied has since been edited.
 */
export async function migrate(
  database: Database,
  folder?: URL,
  told: (name: string, seconds: number) => void = () => {},
): Promise<string[]> {
  const files = [
    ...(await migrationsIn(PLATFORM, "platform")),
    ...(folder ? await migrationsIn(folder, "service") : []),
  ];
  // An index on a big table takes as long as it takes.
  const { sql, close } = database.session({
    answerTimeoutS: ANSWER_TIMEOUT_S,
    settings: { statement_timeout: 0, lock_timeout: 0 },
  });
  try {
    await holdLock(sql, told);
    await sql`create table if not exists migrations (name text primary key, sha256 text not null, applied_at timestamptz not null default now())`;
    await sql`alter table migrations add column if not exists contracts boolean not null default false`;
    const rows = await sql<Applied[]>`select name, sha256, contracts from migrations order by name`;
    refuseTheOld(rows, files);
    const applied = new Map(rows.map((row) => [row.name, row.sha256]));
    const done: string[] = [];
    for (const file of files) {
      const sha256 = applied.get(file.name);
      if (sha256 === undefined) {
        await telling(file.name, told, apply(sql, file));
        done.push(file.name);
      } else if (sha256 !== file.sha256) {
        throw new Error(
          `migration ${file.name} was applied with other text (sha256 ${sha256}, now ${file.sha256}): write a new migration instead of editing it`,
        );
      }
    }
    return done;
  } finally {
    await close();
  }
}

interface Applied {
  name: string;
  sha256: string;
  contracts: boolean;
}

function refuseTheOld(applied: Applied[], files: Migration[]) {
  const known = new Set(files.map(({ name }) => name));
  const newer = applied.filter(({ name, contracts }) => contracts && !known.has(name)).map(({ name }) => name);
  if (newer.length > 0)
    throw new StartError(
      `The database is newer than this version, which needs what ${newer.join(", ")} took away: start the version that brought that, or a newer one.`,
    );
}

/** Asked for again and again: one that waited inside the server would be an old transaction, for which an index that is built concurrently waits. */
async function holdLock(sql: Sql, told: (name: string, seconds: number) => void): Promise<void> {
  for (let looks = 1; ; looks++) {
    const [row] = await sql<{ locked: boolean }[]>`select pg_try_advisory_lock(${LOCKS.migrate}) as locked`;
    if (row?.locked) return;
    await sleep(LOOK_MS);
    if (looks % (TELL_MS / LOOK_MS) === 0) told("those of another process", (looks * LOOK_MS) / 1_000);
  }
}

/** Says every five seconds that the work goes on. */
async function telling(name: string, told: (name: string, seconds: number) => void, work: Promise<void>) {
  const done = new AbortController();
  void (async () => {
    for (let seconds = TELL_MS / 1_000; ; seconds += TELL_MS / 1_000) {
      await sleep(TELL_MS, done.signal);
      if (done.signal.aborted) return;
      told(name, seconds);
    }
  })();
  try {
    await work;
  } finally {
    done.abort();
  }
}

const NO_TRANSACTION = /^(?:--[^\n]*\n)*-- no transaction\b/;
const CONTRACTS = /^(?:--[^\n]*\n)*-- contracts\b/;
const ANSWER_TIMEOUT_S = 24 * 3_600;
const LOOK_MS = 100;
const TELL_MS = 5_000;

interface Migration {
  name: string;
  text: string;
  sha256: string;
}

async function migrationsIn(folder: URL, prefix: string): Promise<Migration[]> {
  const path = fileURLToPath(folder);
  const names = (await readdir(path)).filter((name) => name.endsWith(".sql")).sort();
  return Promise.all(
    names.map(async (name) => {
      const text = await readFile(join(path, name), "utf8");
      return { name: `${prefix}/${basename(name)}`, text, sha256: createHash("sha256").update(text).digest("hex") };
    }),
  );
}

async function apply(sql: Sql, { name, text, sha256 }: Migration) {
  const note = (on: Pick<Sql, "unsafe">) =>
    on.unsafe("insert into migrations (name, sha256, contracts) values ($1, $2, $3)", [
      name,
      sha256,
      CONTRACTS.test(text),
    ]);
  if (NO_TRANSACTION.test(text)) {
    await sql.unsafe(text).simple();
    await note(sql);
    return;
  }
  await sql.begin(async (tx) => {
    await tx.unsafe(text).simple();
    await note(tx);
  });
}
