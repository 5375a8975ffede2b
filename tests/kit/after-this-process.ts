/**
 * `bun test` runs no exit handlers, and a killed process could not: a small shell waits for the end of this one, and runs `script` with `words`. It is nobody's child:
 * Bun kills the children of a test that takes too long.
 */
export function afterThisProcess(script: string, words: string[]): void {
  const waiting = `(while kill -0 ${process.pid} 2>/dev/null; do sleep 1; done; ${script}) &`;
  Bun.spawn(["sh", "-c", waiting, ...words], { detached: true, stdio: ["ignore", "ignore", "ignore"] }).unref();
}
