import { sleep } from "../time/wait.ts";

export interface Gathering<T> {
  itemsMax: number;
  /** Groups under way at one time. */
  atOnce: number;
  /** More than these are refused at once. */
  waitingMax?: number;
  /** Who waits for longer is refused, without having been begun. */
  waitMsMax?: number;
  /** Whether an error is everybody's: who waits is refused with it too, instead of finding it out group after group. */
  isEverybodys?: (error: unknown) => boolean;
  /** Two items of one key never meet in a group; the later one waits. */
  keyOf?: (item: T) => string | undefined;
}

const WAITING_MAX = 2_000;
const WAIT_MS_MAX = 5_000;
/** How often those who wait are looked at within their time. */
const LOOKS = 10;

/**
 * Work in groups: what comes at one moment, or waits when a place is free, is done together. There is no waiting window, so a lone caller loses nothing.
 * A group that fails is done again one by one: nobody fails for a neighbour. `work` gives one result for each item, in their order.
 */
export function gather<T, R>(
  work: (items: T[]) => Promise<R[]>,
  {
    itemsMax,
    atOnce,
    waitingMax = WAITING_MAX,
    waitMsMax = WAIT_MS_MAX,
    isEverybodys = () => false,
    keyOf,
  }: Gathering<T>,
): (item: T) => Promise<R> {
  let waiting: Waiting<T, R>[] = [];
  let working = 0;
  let pumping = false;
  let watching = false;

  /** After everybody who adds something at this moment has done so. */
  function pumpSoon() {
    if (pumping) return;
    pumping = true;
    setImmediate(pump);
  }

  function pump() {
    pumping = false;
    while (working < atOnce && waiting.length > 0) {
      working += 1;
      void finish(take()).finally(() => {
        working -= 1;
        pump();
      });
    }
    if (waiting.length > 0 && !watching) void watch();
  }

  /** Groups may be slow: those who wait for them are not left waiting. */
  async function watch() {
    for (watching = true; waiting.length > 0; ) {
      await sleep(waitMsMax / LOOKS);
      const late = waiting.filter((each) => ++each.looks > LOOKS);
      waiting = waiting.filter((each) => each.looks <= LOOKS);
      for (const { reject } of late) reject(overload(`nobody came to it within ${waitMsMax} ms`));
    }
    watching = false;
  }

  function take(): Waiting<T, R>[] {
    const [first] = waiting;
    if (first?.alone) {
      waiting = waiting.slice(1);
      return [first];
    }
    const keys = new Set<string>();
    const taken: Waiting<T, R>[] = [];
    const left: Waiting<T, R>[] = [];
    for (const each of waiting) {
      const key = keyOf?.(each.item);
      if (taken.length === itemsMax || (key !== undefined && keys.has(key))) left.push(each);
      else taken.push(each);
      if (key !== undefined) keys.add(key);
    }
    waiting = left;
    return taken;
  }

  async function finish(group: Waiting<T, R>[]): Promise<void> {
    try {
      const results = await work(group.map(({ item }) => item));
      if (results.length !== group.length)
        throw new Error(`expected ${group.length} results of a group, found ${results.length}`);
      // As many results as there are waiting: just checked.
      for (const [index, { resolve }] of group.entries()) resolve(results[index] as R);
    } catch (error) {
      if (isEverybodys(error)) {
        for (const { reject } of [...group, ...waiting]) reject(error);
        waiting = [];
      } else if (group.length === 1) group[0]?.reject(error);
      else waiting = [...group.map((each) => ({ ...each, alone: true })), ...waiting];
    }
  }

  return (item) => {
    if (waiting.length >= waitingMax) return Promise.reject(overload(`${waitingMax} wait already`));
    const { promise, resolve, reject } = Promise.withResolvers<R>();
    waiting.push({ item, resolve, reject, looks: 0, alone: false });
    pumpSoon();
    return promise;
  };
}

interface Waiting<T, R> {
  item: T;
  resolve(result: R): void;
  reject(error: unknown): void;
  looks: number;
  /** Its group has failed. */
  alone: boolean;
}

const OVERLOADED = "OVERLOADED";

function overload(why: string): Error {
  return Object.assign(new Error(`more is asked than can be done: ${why}`), { code: OVERLOADED });
}

/** Whether something was refused, without having been begun, because too much waits. */
export function isOverload(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === OVERLOADED;
}

/** A gathering of its own for each owner, such as an app, made when it is first needed. */
export function gatherPer<O extends object, T, R>(
  make: (owner: O) => (item: T) => Promise<R>,
): (owner: O, item: T) => Promise<R> {
  const made = new WeakMap<O, (item: T) => Promise<R>>();
  return (owner, item) => {
    const add = made.get(owner) ?? make(owner);
    made.set(owner, add);
    return add(item);
  };
}
