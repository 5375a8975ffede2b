import type { ProblemKind } from "../../packages/api/gen/bodega/eventlog/v1/eventlog_pb.ts";
import { hashOf, type Place, type Signed, type Signer } from "./chain.ts";
import type { SealedEntry, SignedPlace } from "./store.ts";

export interface Problem {
  kind: keyof typeof ProblemKind;
  sequence: bigint;
  says: string;
}

/** More say nothing more. */
const PROBLEMS_MAX = 100;

/** Reads a journal entry by entry, and notes what is not as it was written. */
export function createInspection(signer: Signer, begins: { sequence: bigint; hash: Uint8Array | undefined }) {
  const problems: Problem[] = [];
  const note = (kind: Problem["kind"], sequence: bigint, says: string) => {
    if (problems.length < PROBLEMS_MAX) problems.push({ kind, sequence, says });
  };
  let expected = begins.sequence;
  let before = begins.hash;
  let checked = 0n;

  return {
    problems,
    checked: () => checked,

    entry(entry: SealedEntry) {
      checked += 1n;
      const { sequence, hash } = entry;
      if (sequence < expected) return note("EVENT_ADDED", sequence, `expected event ${sequence} once, found it again`);
      if (sequence > expected) missing(expected, sequence - 1n);
      // After a gap nobody knows what the hash before was.
      if (sequence === expected && before) {
        const computed = hashOf(before, entry);
        if (!same(computed, hash))
          note(
            "EVENT_CHANGED",
            sequence,
            `expected hash ${hex(computed)} after event ${sequence - 1n}, found ${hex(hash)}: one of these two was changed`,
          );
      }
      expected = sequence + 1n;
      before = hash;
    },

    /** A place that was signed or written down, and what is kept there now. */
    place(what: Signed | "known", place: SignedPlace, found: Uint8Array | undefined) {
      const { sequence, hash, signature } = place;
      if (what !== "known" && !signer.verify(what, place, signature))
        note(
          "SIGNATURE_INVALID",
          sequence,
          `expected a ${what} at event ${sequence} that was signed by the journal, found one that was not`,
        );
      else if (found && !same(found, hash))
        note(
          "CHECKPOINT_DIFFERS",
          sequence,
          `expected hash ${hex(hash)} at event ${sequence}, as ${what === "known" ? "was known" : "was signed"}, found ${hex(found)}: events up to here were written anew`,
        );
    },

    /** The end of what is read, in the middle of the journal. */
    middle(last: bigint) {
      if (expected <= last) missing(expected, last);
    },

    /** The end of the journal, as it was signed, and the last event there is. */
    end(head: Place, last: bigint) {
      if (expected <= head.sequence)
        note("TAIL_MISSING", expected, `expected events up to ${head.sequence}, found none from ${expected} on`);
      if (last > head.sequence)
        note(
          "EVENT_ADDED",
          head.sequence + 1n,
          `expected the end at event ${head.sequence}, as was signed, found events up to ${last}`,
        );
    },

    /** Not even the end that was signed reaches this far. */
    beyond(sequence: bigint, end: bigint) {
      note("TAIL_MISSING", end + 1n, `expected event ${sequence}, which was known, found an end at ${end}`);
    },
  };

  function missing(first: bigint, last: bigint) {
    const which = first === last ? `event ${first}` : `events ${first} to ${last}`;
    note("EVENT_MISSING", first, `expected ${which}, found none`);
  }
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.from(a).equals(b);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
