export interface Gathering<T> {
  itemsMax: number;
  /** Groups under way at one time. */
  atOnce: number;
  /** Two items of one key never meet in a group; the later one waits. */
  keyOf?: (item: T) => string | undefined;
}

/**
 * Work in groups: what comes at one moment, or waits when a place is free, is done together. There is no waiting window, so a lone caller loses nothing.
 * A group that fails is done again one by one: nobody fails for a neighbour. `work` gives one result for each item, in their order.
 */
export function gather<T, R>(
  work: (items: T[]) => Promise<R[]>,
  { itemsMax, atOnce, keyOf }: Gathering<T>,
): (item: T) => Promise<R> {
  let waiting: Waiting<T, R>[] = [];
  let working = 0;
  let pumping = false;

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
  }

  function take(): Waiting<T, R>[] {
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
      const [only] = group;
      if (group.length === 1) only?.reject(error);
      else for (const each of group) await finish([each]);
    }
  }

  return (item) => {
    const { promise, resolve, reject } = Promise.withResolvers<R>();
    waiting.push({ item, resolve, reject });
    pumpSoon();
    return promise;
  };
}

interface Waiting<T, R> {
  item: T;
  resolve(result: R): void;
  reject(error: unknown): void;
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
