/** Starts now; gives the real seconds since then. */
export function stopwatch(): () => number {
  const started = performance.now();
  return () => (performance.now() - started) / 1_000;
}
