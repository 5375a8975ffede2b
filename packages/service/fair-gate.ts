import { Code } from "@connectrpc/connect";
import { refused } from "./errors.ts";

/** Who waits. */
export interface Turn {
  /** Turns go round among these, such as networks: who asks a thousand times waits a thousand turns, and others one. */
  key: string;
  /** Known ones have every second turn, and no stranger takes their place. */
  known: boolean;
  /** Whose abort ends the waiting. */
  signal: AbortSignal;
}

export interface FairGate {
  /** Does the work when it is its turn; refuses with RESOURCE_EXHAUSTED when too many wait, and throws the signal's reason when it aborts first. */
  pass<T>(turn: Turn, work: () => Promise<T>): Promise<T>;
}

interface Waiter extends Pick<Turn, "key"> {
  start(): void;
  leave(reason: unknown): void;
}

const BUSY_RETRY_MS = 2_000;

/** Lets `atOnce` works run and `waitingMax` wait, fairly between keys. When all places are taken, the longest queue of strangers gives one up. */
export function createFairGate(atOnce: number, waitingMax: number, busy: string): FairGate {
  let running = 0;
  let knownWent = false;
  const [known, strangers] = [createLane(), createLane()];

  function next(): void {
    const [first, second] = knownWent ? [strangers, known] : [known, strangers];
    const lane = first.size() > 0 ? first : second;
    const waiter = lane.take();
    if (!waiter) {
      running -= 1;
      return;
    }
    knownWent = lane === known;
    waiter.start();
  }

  function makeRoom(turn: Turn): void {
    if (known.size() + strangers.size() < waitingMax) return;
    const longest = strangers.longest();
    const longer = longest && (turn.known || longest.waiting > strangers.waitingOf(turn.key) + 1);
    if (!longer) throw busyRefusal();
    strangers.dropLast(longest.key)?.leave(busyRefusal());
  }

  function busyRefusal() {
    return refused(Code.ResourceExhausted, "BUSY", busy, BUSY_RETRY_MS);
  }

  function wait(turn: Turn): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const lane = turn.known ? known : strangers;
    const waiter: Waiter = { key: turn.key, start: resolve, leave: reject };
    lane.add(waiter);
    const hungUp = () => {
      lane.remove(waiter);
      reject(turn.signal.reason);
    };
    turn.signal.addEventListener("abort", hungUp, { once: true });
    return promise.finally(() => turn.signal.removeEventListener("abort", hungUp));
  }

  return {
    async pass(turn, work) {
      turn.signal.throwIfAborted();
      if (running >= atOnce) {
        makeRoom(turn);
        await wait(turn);
      } else running += 1;
      try {
        return await work();
      } finally {
        // The place goes to the next who waits; where nobody does, it is free.
        next();
      }
    },
  };
}

/** Waiters by key, taken one of each key in turn. */
function createLane() {
  const queues = new Map<string, Waiter[]>();
  let waiting = 0;

  function removeFrom(key: string, at: number): Waiter | undefined {
    const queue = queues.get(key) ?? [];
    const [waiter] = queue.splice(at, 1);
    if (waiter) waiting -= 1;
    if (queue.length === 0) queues.delete(key);
    return waiter;
  }

  return {
    size: () => waiting,
    waitingOf: (key: string) => queues.get(key)?.length ?? 0,
    add(waiter: Waiter) {
      const queue = queues.get(waiter.key) ?? [];
      queues.set(waiter.key, queue);
      queue.push(waiter);
      waiting += 1;
    },
    take(): Waiter | undefined {
      for (const key of queues.keys()) {
        const waiter = removeFrom(key, 0);
        const rest = queues.get(key);
        // Its next turn comes after one of every other key.
        if (rest && queues.delete(key)) queues.set(key, rest);
        return waiter;
      }
      return undefined;
    },
    remove(waiter: Waiter) {
      const at = queues.get(waiter.key)?.indexOf(waiter) ?? -1;
      if (at >= 0) removeFrom(waiter.key, at);
    },
    dropLast: (key: string) => removeFrom(key, (queues.get(key)?.length ?? 0) - 1),
    longest(): { key: string; waiting: number } | undefined {
      let found: { key: string; waiting: number } | undefined;
      // Of queues that are equally long the last one.
      for (const [key, { length }] of queues) if (length >= (found?.waiting ?? 0)) found = { key, waiting: length };
      return found;
    },
  };
}
