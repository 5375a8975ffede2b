import { expect, test } from "bun:test";
import { inspectDisk } from "./disk.ts";

test("a disk is told with what is free of it, and is a trouble when little is", async () => {
  expect(await inspectDisk(import.meta.dir)).toMatchObject({
    found: expect.stringMatching(/^\d+\.\d [GM]iB of \d+\.\d GiB free at /),
    figures: { folder: import.meta.dir },
  });
  const full = await inspectDisk("/data", async () => ({ bavail: 100, blocks: 10_000_000, bsize: 4_096 }));
  expect(full.found).toBe("0.4 MiB of 38.1 GiB free at /data");
  expect(full.troubles).toEqual([
    { says: expect.stringContaining("less than 1.0 GiB"), fix: expect.stringContaining("du -xh /data") },
  ]);
});
