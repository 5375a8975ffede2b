import { hash } from "node:crypto";
import { create, type DescMessage, fromBinary, type Message, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Batcher, OnceKey } from "../../database/batch.ts";
import type { Sql } from "../../database/database.ts";
import { type Recorded, type Recorder, record } from "../../database/story.ts";
import { bucketOfCustomer } from "../../time/ids.ts";
import { sleep } from "../../time/wait.ts";
import type { App, Repeatable } from "../app.ts";
import type { Caller } from "../caller.ts";
import { refused } from "../errors.ts";
import type { Place, Places } from "../places.ts";

const LOCK_MS = 7_000;
/** How long a twin waits for the other's answer, and when to come back after that. */
const WAIT_MS = 3_000;
const RETRY_MS = 1_000;
const LOOK_MS = 25;
/** What `tryLock` gives instead of a token while the lock service is away. */
const UNLOCKED = "";

type Key = Omit<OnceKey, "reply">;
type Keeping = Place & Batcher;

/** Does the story under its key; null when the key was taken. */
type Telling<M extends DescMessage> = (place: Keeping, key: Key) => Promise<MessageShape<M> | null>;

/**
 * Idempotent requests. A lock turns concurrent twins away cheaply and may fail or be lost; the unique key row, written in the story's own transaction
 * with the request's hash and the reply, is what makes it once.
 */
export function createOnce(
  app: Pick<App, "locks" | "clock" | "log">,
  places: Places<Keeping>,
  recorder: Recorder,
  committed: (recorded: Recorded) => void,
): Pick<App, "recordOnce" | "transactOnce"> {
  let alone = false;

  return {
    recordOnce: (caller, reply, request, story) =>
      once(caller, request, reply, async (place, key) => {
        const recording = record(recorder);
        const answer = create(reply, story(recording));
        const fresh = await place.commit(recording.recorded, { ...key, reply: toBinary(reply, answer) });
        if (!fresh) return null;
        committed(recording.recorded);
        return answer;
      }),
    transactOnce: (caller, reply, request, story) =>
      once(caller, request, reply, ({ transact }, key) =>
        transact(async (tx) => {
          const taken = await tx.sql`
            insert into idempotency (bucket, caller, rpc, request_id, request_hash, created_at)
            values (${key.bucket}, ${key.caller}, ${key.rpc}, ${key.request_id}, ${key.request_hash}, ${key.created_at}) on conflict do nothing returning rpc`;
          if (taken.length === 0) return null;
          const answer = create(reply, await story(tx));
          await tx.sql`update idempotency set reply = ${toBinary(reply, answer)}
            where bucket = ${key.bucket} and caller = ${key.caller} and rpc = ${key.rpc} and request_id = ${key.request_id}`;
          return answer;
        }),
      ),
  };

  async function once<M extends DescMessage>(
    caller: Caller,
    request: Repeatable,
    reply: M,
    tell: Telling<M>,
  ): Promise<MessageShape<M>> {
    const place = places.atCustomer(caller.userId);
    const key = keyOf(caller, request, app.clock.now());
    const lock = `lock:${caller.userId}:${request.requestId}`;
    for (let waited = 0; waited < WAIT_MS; waited += LOOK_MS) {
      const token = await tryLock(lock);
      if (token !== null) return first(place, key, reply, tell).finally(() => unlock(lock, token));
      // Another request holds the lock: we wait for its answer.
      const stored = await findReply(place.sql, key, reply);
      if (stored) return stored;
      await sleep(LOOK_MS);
    }
    throw refused(
      Code.Aborted,
      "REQUEST_IN_PROGRESS",
      `request ${request.requestId} is still being answered: ask again for its answer`,
      RETRY_MS,
    );
  }

  /** The story's own answer if it was the first, the stored one if not. */
  async function first<M extends DescMessage>(place: Keeping, key: Key, reply: M, tell: Telling<M>) {
    try {
      const fresh = await tell(place, key);
      if (fresh) return fresh;
    } catch (error) {
      // This refusal is about how things are now; if the request was answered before, that answer stands.
      if (!(error instanceof ConnectError)) throw error;
      const stored = await findReply(place.sql, key, reply);
      if (stored) return stored;
      throw error;
    }
    const stored = await findReply(place.sql, key, reply);
    if (!stored) throw new Error(`idempotency key ${key.request_id} is taken but has no reply`);
    return stored;
  }

  /** Without the lock service the key row alone decides; an outage is told once, not per request. */
  async function tryLock(lock: string): Promise<string | null> {
    try {
      const token = await app.locks.tryLock(lock, LOCK_MS);
      if (alone) app.log.info("locks.back");
      alone = false;
      return token;
    } catch (error) {
      if (!alone) app.log.error("locks.away", error);
      alone = true;
      return UNLOCKED;
    }
  }

  async function unlock(lock: string, token: string) {
    if (token === UNLOCKED) return;
    // A lock that cannot be released runs out by itself.
    await app.locks
      .unlock(lock, token)
      .catch((error: unknown) => app.log.warn("locks.unreleased", { lock, error: String(error) }));
  }
}

async function findReply<M extends DescMessage>(sql: Sql, key: Key, reply: M): Promise<MessageShape<M> | null> {
  const [row] = await sql<{ request_hash: Uint8Array; reply: Uint8Array }[]>`
    select request_hash, reply from idempotency
    where bucket = ${key.bucket} and caller = ${key.caller} and rpc = ${key.rpc} and request_id = ${key.request_id} and reply is not null`;
  if (!row) return null;
  if (!Buffer.from(row.request_hash).equals(key.request_hash)) {
    throw refused(
      Code.AlreadyExists,
      "DUPLICATE_REQUEST_OTHER_BODY",
      `request_id ${key.request_id} was used for another request: take a new one`,
    );
  }
  const stored = fromBinary(reply, row.reply);
  if ("replayed" in stored) Object.assign(stored, { replayed: true });
  return stored;
}

function keyOf(caller: Caller, request: Repeatable, now: Date): Key {
  // The hash is over the request without its id, as the caller sent it.
  const { requestId, ...rest } = request;
  const body = toBinary(caller.rpc.input, { ...rest, requestId: "" } as Message);
  return {
    bucket: bucketOfCustomer(caller.userId),
    caller: caller.userId,
    rpc: caller.rpc.name,
    request_id: requestId,
    request_hash: hash("sha256", body, "buffer"),
    created_at: now,
  };
}
