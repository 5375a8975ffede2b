import { sleep } from "../time/wait.ts";

/** Finds out within about a second that a server does not answer at all, so that nobody waits for it longer than that. */
export interface Pulse {
  /** Settles as `work` does; rejects as soon as the server is found silent, and at once, without beginning, while it is known to be. */
  unlessSilent<T>(work: () => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

export interface PulsePorts {
  /** Asks a trivial question; resolves when it was answered, be it with a refusal. */
  ask(): Promise<unknown>;
  /** The server was found silent: what it was asked before will not be answered. */
  foundSilent(): void;
}

/** Who waits for so long has the server asked a trivial question. */
const PATIENCE_MS = 250;
/** In steps, so that a process that was stopped itself does not take that for the server's silence. */
const STEP_MS = 100;
const STEPS_TO_ANSWER = 6;

export function createPulse({ ask, foundSilent }: PulsePorts): Pulse {
  const waiting = new Set<{ looks: number; reject(error: Error): void }>();
  const closed = new AbortController();
  let silent = false;
  let watching: Promise<void> | undefined;

  async function watch() {
    while ((silent || waiting.size > 0) && !closed.signal.aborted) {
      await sleep(PATIENCE_MS, closed.signal);
      let somebodyWaits = silent;
      for (const each of waiting) if (each.looks++ > 0) somebodyWaits = true;
      if (!somebodyWaits || (await answers())) {
        silent = false;
        continue;
      }
      silent = true;
      for (const each of waiting) each.reject(silence());
      waiting.clear();
      foundSilent();
    }
    watching = undefined;
  }

  async function answers(): Promise<boolean> {
    const answered = new AbortController();
    const over = AbortSignal.any([answered.signal, closed.signal]);
    let asking = false;
    for (let step = 0; step < STEPS_TO_ANSWER && !over.aborted; step++) {
      if (!asking) {
        asking = true;
        void ask().then(
          () => answered.abort(),
          // A connection that was lost, as that of a process that was stopped is, says nothing of the server: it is asked on another.
          () => {
            asking = false;
          },
        );
      }
      await sleep(STEP_MS, over);
    }
    return answered.signal.aborted;
  }

  return {
    async unlessSilent(work) {
      if (silent) throw silence();
      const { promise: found, reject } = Promise.withResolvers<never>();
      const each = { looks: 0, reject };
      waiting.add(each);
      watching ??= watch();
      try {
        return await Promise.race([work(), found]);
      } finally {
        waiting.delete(each);
      }
    },
    async close() {
      closed.abort();
      await watching;
    },
  };
}

function silence(): Error {
  return Object.assign(new Error("the database does not answer"), { code: "CONNECTION_SILENT" });
}
