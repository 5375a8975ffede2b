import { randomInt } from "node:crypto";
import type { Clock } from "./clock.ts";
import { slotOf, slotOfCustomer, uuidV7 } from "./ids.ts";

/** Randomness and ids; a test may give a seeded one. */
export interface Random {
  bytes(count: number): Uint8Array;
  /** Decimal digits, uniformly, leading zeros included. */
  digits(count: number): string;
  /** From 0 up to 1. */
  fraction(): number;
  /** A UUIDv7 in this process's order. */
  id(): string;
  /** A UUIDv7 in the bucket of a customer. */
  idFor(customerId: string): string;
  /** A UUIDv7 in the bucket of another id: a payment's id lives where its order lives. */
  idBeside(id: string): string;
}

const FRACTIONS = 2 ** 30;

export function systemRandom(clock: Clock): Random {
  return seededRandom(clock, (count) => crypto.getRandomValues(new Uint8Array(count)), randomInt);
}

export function seededRandom(
  clock: Clock,
  bytes: (count: number) => Uint8Array,
  below: (limit: number) => number,
): Random {
  let last = 0;
  let sequence = 0;
  const make = (slot: number) => {
    const ms = clock.now().getTime();
    // Monotonic in this process: a clock that stands still or steps back keeps counting from the last id.
    sequence = ms > last ? 0 : sequence + 1;
    last = Math.max(ms, last);
    if (sequence > 0xfff) {
      last += 1;
      sequence = 0;
    }
    return uuidV7(last, sequence, slot, bytes(8));
  };
  return {
    bytes,
    digits: (count) => Array.from({ length: count }, () => below(10)).join(""),
    fraction: () => below(FRACTIONS) / FRACTIONS,
    id: () => make(below(0x1000)),
    idFor: (customerId) => make(slotOfCustomer(customerId)),
    idBeside: (id) => make(slotOf(id)),
  };
}
