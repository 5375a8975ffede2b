import { createPrivateKey, createPublicKey, hash, hkdfSync, type KeyObject, sign, verify } from "node:crypto";

/** A fact with its place in the journal, as it is kept. */
export interface Entry {
  sequence: bigint;
  event_id: string;
  type: string;
  source: string;
  subject: string;
  time: Date;
  recorded_at: Date;
  traceparent: string;
  correlation_id: string;
  /** Null when the fact is about no order. */
  order_id: string | null;
  body: Uint8Array;
}

/** Where the chain stood. */
export interface Place {
  sequence: bigint;
  hash: Uint8Array;
  recorded_at: Date;
}

export const GENESIS: Place = { sequence: 0n, hash: new Uint8Array(32), recorded_at: new Date(0) };

/**
 * SHA-256 over the hash before and all of an entry: numbers and times as 64 bits, big-endian, times in milliseconds; everything else as its length in 32 bits
 * and its bytes, text in UTF-8. Lengths make it one way only to read it.
 */
export function hashOf(before: Uint8Array, entry: Entry): Uint8Array {
  const { sequence, type, source, subject, time, traceparent, body } = entry;
  const first = [entry.event_id, type, source, subject];
  const last = [traceparent, entry.correlation_id, entry.order_id ?? "", body];
  const sizes = [...first, ...last].reduce((sum, part) => sum + 4 + Buffer.byteLength(part), 0);
  // One piece of memory: every fact of the platform comes by here.
  const bytes = Buffer.allocUnsafe(before.length + 3 * 8 + sizes);
  bytes.set(before);
  let at = bytes.writeBigInt64BE(sequence, before.length);
  const put = (part: string | Uint8Array) => {
    at = bytes.writeUInt32BE(Buffer.byteLength(part), at);
    if (typeof part === "string") at += bytes.write(part, at);
    else {
      bytes.set(part, at);
      at += part.length;
    }
  };
  first.forEach(put);
  at = bytes.writeBigInt64BE(BigInt(time.getTime()), at);
  at = bytes.writeBigInt64BE(BigInt(entry.recorded_at.getTime()), at);
  last.forEach(put);
  return hash("sha256", bytes, "buffer");
}

/** What is signed is signed as one of these: an old checkpoint cannot be passed off as the end. */
export type Signed = "head" | "checkpoint" | "seal";

export interface Signer {
  sign(kind: Signed, place: Place): Uint8Array;
  verify(kind: Signed, place: Place, signature: Uint8Array): boolean;
}

/** An Ed25519 key is its seed behind this header of PKCS #8. */
const ED25519_PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex");

/** Signs with a key that follows from `secret`, and so is not in the database that it guards. Without one it throws when it is used. */
export function createSigner(secret: string | undefined): Signer {
  const keys = secret ? keysOf(secret) : undefined;
  const own = () => {
    if (!keys) throw new Error("expected EVENTLOG_SECRET to be set where the journal is kept, found none");
    return keys;
  };
  return {
    sign: (kind, place) => sign(null, words(kind, place), own().privateKey),
    verify: (kind, place, signature) => verify(null, words(kind, place), own().publicKey, signature),
  };
}

function keysOf(secret: string): { privateKey: KeyObject; publicKey: KeyObject } {
  const seed = Buffer.from(hkdfSync("sha256", secret, "", "bodega event log", 32));
  const privateKey = createPrivateKey({ key: Buffer.concat([ED25519_PKCS8, seed]), format: "der", type: "pkcs8" });
  return { privateKey, publicKey: createPublicKey(privateKey) };
}

function words(kind: Signed, { sequence, hash, recorded_at }: Place): Uint8Array {
  const text = Buffer.from(hash).toString("hex");
  return Buffer.from(`bodega event log ${kind}\n${sequence}\n${text}\n${recorded_at.toISOString()}\n`);
}
