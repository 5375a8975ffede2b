import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { ProblemKind, type VerifyChainRequest } from "../../packages/api/gen/bodega/eventlog/v1/eventlog_pb.ts";
import type { Sql } from "../../packages/database/database.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { GENESIS } from "./chain.ts";
import type { EventLogConfig } from "./config.ts";
import { createInspection } from "./inspect.ts";
import {
  entriesBetween,
  findEntry,
  lastSeal,
  lastSequence,
  listCheckpoints,
  readHead,
  type SignedPlace,
} from "./store.ts";

const EVENTS_MAX = 20_000;
const RANGE = 1_000n;

/** All of it reads one state of the journal: what is appended meanwhile is the next call's. */
export async function verifyChain(app: App<EventLogConfig>, _caller: Caller, req: VerifyChainRequest) {
  const { checked, problems, next, head, first } = await app.transact(async ({ sql }) => {
    await sql`set transaction isolation level repeatable read, read only`;
    return verify(sql, app.config, req);
  });
  if (problems.length > 0)
    app.log.error("eventlog.broken", new Error(problems[0]?.says), { problems: problems.length });
  return {
    intact: problems.length === 0,
    checked,
    nextSequence: next,
    problems: problems.map((problem) => ({ ...problem, kind: ProblemKind[problem.kind] })),
    head: { ...head, recordedAt: timestampFromDate(head.recorded_at) },
    firstSequence: first,
  };
}

/** What the RPC does, in a transaction of whoever calls. */
export async function verify(sql: Sql, { signer }: EventLogConfig, req: VerifyChainRequest) {
  const [seal, head] = [await lastSeal(sql), await readHead(sql)];
  const base = seal ?? GENESIS;
  const first = base.sequence + 1n;
  const from = req.fromSequence > first ? req.fromSequence : first;
  const last = smaller(head.sequence, from + BigInt(req.eventsMax || EVENTS_MAX) - 1n);
  const before = from === first ? base.hash : (await findEntry(sql, from - 1n))?.hash;
  const inspection = createInspection(signer, { sequence: from, hash: before });
  if (seal) inspection.place("seal", seal, undefined);

  const known = knownIn(req);
  if (known && known.sequence > head.sequence) inspection.beyond(known.sequence, head.sequence);
  // By ranges of sequences, not of rows: one that is there twice must not fall between two of them.
  for (let start = from; start <= last; start += RANGE) {
    const end = smaller(last, start + RANGE - 1n);
    const entries = await entriesBetween(sql, start, end);
    for (const entry of entries) inspection.entry(entry);
    const hashes = new Map(entries.map(({ sequence, hash }) => [sequence, hash]));
    for (const place of await listCheckpoints(sql, start, end))
      inspection.place("checkpoint", place, hashes.get(place.sequence));
    if (known && hashes.has(known.sequence)) inspection.place("known", known, hashes.get(known.sequence));
    if (end === head.sequence) inspection.place("head", head, hashes.get(head.sequence));
  }
  if (last < head.sequence) inspection.middle(last);
  else inspection.end(head, await lastSequence(sql));
  return {
    checked: inspection.checked(),
    problems: inspection.problems,
    next: last < head.sequence ? last + 1n : 0n,
    head,
    first,
  };
}

function smaller(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

function knownIn({ known }: VerifyChainRequest): SignedPlace | undefined {
  if (!known || known.sequence === 0n) return undefined;
  const { sequence, hash, signature, recordedAt } = known;
  return { sequence, hash, signature, recorded_at: recordedAt ? timestampDate(recordedAt) : new Date(0) };
}
