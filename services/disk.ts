import { statfs } from "node:fs/promises";
import { type Inspection, sized } from "../packages/telemetry/inspection.ts";

const FREE_BYTES_MIN = 1024 ** 3;

/** The disk that the folder is on. */
export async function inspectDisk(
  folder: string,
  look: (folder: string) => Promise<{ bavail: number; blocks: number; bsize: number }> = statfs,
): Promise<Inspection> {
  const { bavail, blocks, bsize } = await look(folder);
  const [freeBytes, totalBytes] = [bavail * bsize, blocks * bsize];
  const trouble = {
    says: `less than ${sized(FREE_BYTES_MIN)} is free: PostgreSQL stops when there is none`,
    fix: `make room, or move DATA_DIR to a larger disk; du -xh ${folder} | sort -h | tail shows what is large, and slots what of it is kept for a reader that is away`,
  };
  return {
    found: `${sized(freeBytes)} of ${sized(totalBytes)} free at ${folder}`,
    figures: { folder, freeBytes, totalBytes },
    troubles: freeBytes < FREE_BYTES_MIN ? [trouble] : [],
  };
}
