// Which test files run together in one process, and in which order.

/** Seconds of the files that take long. Of any other file it is enough to know that it takes few. */
export const SECONDS: Record<string, number> = {
  "tests/chaos/chaos.test.ts": 100,
  "tests/apart/apart.test.ts": 70,
  "tests/apart/points.test.ts": 65,
  "tests/apart/clocks.test.ts": 50,
  "tests/chaos/points-killed.test.ts": 60,
  "tests/chaos/start-up.test.ts": 30,
  "tests/chaos/import-killed.test.ts": 25,
  "tests/stories/points-crash.test.ts": 25,
  "tests/servers/replicas.test.ts": 25,
  "tests/stories/idempotency.test.ts": 15,
  "packages/database/embedded.test.ts": 14,
  "packages/jobs/embedded.test.ts": 10,
  "packages/jobs/rabbitmq.test.ts": 8,
  "packages/service/engine/worker.test.ts": 8,
  "tests/stories/order-life.test.ts": 7,
};
/** They start a dozen processes, kill them, and count in real time what comes back: beside others they would measure the machine. */
const ALONE = /^tests\/(apart\/|chaos\/(chaos|points-killed|import-killed)\.|servers\/k6\.)/;

/** Those that want the machine for themselves, and the others. */
export function apart(files: string[]): { alone: string[]; others: string[] } {
  return { alone: files.filter((file) => ALONE.test(file)), others: files.filter((file) => !ALONE.test(file)) };
}

const SECONDS_OTHERWISE = 1.5;
const SECONDS_TOGETHER = 12;

/** Long files alone, short ones together, for a process has to load the whole product first. The longest come first, so that none is left at the end. */
export function deal(files: string[]): string[][] {
  const seconds = (file: string) => SECONDS[file] ?? SECONDS_OTHERWISE;
  const batches: { files: string[]; seconds: number }[] = [];
  for (const file of files.toSorted((a, b) => seconds(b) - seconds(a))) {
    const last = batches.at(-1);
    if (last && last.seconds + seconds(file) <= SECONDS_TOGETHER) {
      last.files.push(file);
      last.seconds += seconds(file);
    } else batches.push({ files: [file], seconds: seconds(file) });
  }
  return batches.toSorted((a, b) => b.seconds - a.seconds).map((batch) => batch.files.toSorted());
}

/** As bun test takes its words: any part of a path, or "./" and the beginning of one; nothing means all. */
export function chosen(files: string[], words: string[]): string[] {
  if (words.length === 0) return files;
  return files.filter((file) =>
    words.some((word) => (word.startsWith("./") ? file.startsWith(word.slice(2)) : file.includes(word))),
  );
}
