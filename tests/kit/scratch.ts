import { existsSync, mkdtempSync, statfsSync } from "node:fs";
import { freemem, tmpdir } from "node:os";
import { join } from "node:path";

const MEMORY = "/dev/shm";
/** A run of all tests keeps less than half of that there at one time. */
const ROOM_BYTES_MIN = 4 * 1024 ** 3;

/**
 * A new folder for databases, in memory where there is plenty. A database is three hundred files, most tests make a dozen databases, and on a disk making
 * those files costs more than all that is then done with them. Processes may be killed as on a disk; power is not lost in any test.
 */
export function scratchFolder(prefix: string): string {
  return mkdtempSync(join(hasRoom() ? MEMORY : tmpdir(), prefix));
}

/** Whoever sets TMPDIR wants it there. */
function hasRoom(): boolean {
  if (process.env["TMPDIR"] || !existsSync(MEMORY)) return false;
  const { bavail, bsize } = statfsSync(MEMORY);
  return bavail * bsize >= ROOM_BYTES_MIN && freemem() >= ROOM_BYTES_MIN;
}
