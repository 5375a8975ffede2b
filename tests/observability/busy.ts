// Whether this machine has time for what runs on it: promises about time are judged only where it has.
import { availableParallelism, loadavg } from "node:os";

const LOOK_MS = 1_000;
/** Those who want to run, on the average of a minute, for each core. A shop with what sees it is half of that. */
const WAITING_MAX = 4;

export interface Watch {
  /** A sentence when the machine was too busy since then, on the clock of `performance`. */
  tooBusySince(since: number): string | undefined;
  close(): void;
}

export function watchMachine(): Watch {
  const looks: { at: number; waiting: number }[] = [];
  const look = () => looks.push({ at: performance.now(), waiting: (loadavg()[0] ?? 0) / availableParallelism() });
  const timer = setInterval(look, LOOK_MS);
  return {
    tooBusySince(since) {
      look();
      const most = Math.max(...looks.filter(({ at }) => at >= since).map(({ waiting }) => waiting));
      if (most <= WAITING_MAX) return;
      return `this machine is too busy: ${most.toFixed(1)} programs for each core want to run, and ${WAITING_MAX} may`;
    },
    close: () => clearInterval(timer),
  };
}
