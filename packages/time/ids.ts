import { createHash, hash } from "node:crypto";

/** Order-scoped rows live in one of this many buckets; a bucket can move to another database. */
export const BUCKETS = 64;

/** The 12-bit slot of a customer, fixed for ever: the first bits of sha256 over the id's 16 bytes. */
export function slotOfCustomer(customerId: string): number {
  const digest = hash("sha256", Buffer.from(customerId.replaceAll("-", ""), "hex"), "buffer");
  return digest.readUInt16BE(0) >> 4;
}

/** The slot an id carries in the last three hexadecimal digits of its fourth group. */
export function slotOf(id: string): number {
  return Number.parseInt(id.slice(20, 23), 16);
}

/** The bucket an id names: for order-scoped ids, the bucket of its customer. */
export function bucketOf(id: string): number {
  return (slotOf(id) >> 6) & (BUCKETS - 1);
}

export function bucketOfCustomer(customerId: string): number {
  return slotOfCustomer(customerId) >> 6;
}

/**
 * A UUIDv7: 48 bits of milliseconds, 12 bits that keep one process in order, 12 bits of slot, 50 random bits.
 * `random` gives at least 8 bytes.
 */
export function uuidV7(ms: number, sequence: number, slot: number, random: Uint8Array): string {
  const bytes = Buffer.alloc(16);
  bytes.writeUIntBE(ms, 0, 6);
  bytes.writeUInt16BE(0x7000 | (sequence & 0xfff), 6);
  bytes.writeUInt8(0x80 | ((random[0] ?? 0) & 0x30) | (slot >> 8), 8);
  bytes.writeUInt8(slot & 0xff, 9);
  bytes.set(random.subarray(1, 7), 10);
  return written(bytes);
}

/** No UUIDv7 of this millisecond or a later one is less. */
export function uuidV7Floor(ms: number): string {
  const hex = ms.toString(16).padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}

/** For what has no UUID of its own: always the same one for the same name. Version 5 in form, of no namespace. */
export function uuidOf(...name: (string | Uint8Array)[]): string {
  const digest = createHash("sha1").update("bodega:");
  for (const part of name) digest.update(part);
  const bytes = digest.digest().subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x50, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return written(bytes);
}

function written(bytes: Buffer): string {
  const hex = bytes.toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export function isUuid(text: string): boolean {
  return UUID.test(text);
}
