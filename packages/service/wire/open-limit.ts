/** Bounds how many of what stays open there are: connections, streams. */
export interface OpenLimit {
  /** Counts one, and gives back what uncounts it, to be called once; undefined when there is none left, for this network or at all. */
  take(network: string): (() => void) | undefined;
}

export function createOpenLimit(perNetworkMax: number, max: number): OpenLimit {
  const taken = new Map<string, number>();
  let all = 0;
  return {
    take(network) {
      const before = taken.get(network) ?? 0;
      if (before >= perNetworkMax || all >= max) return undefined;
      taken.set(network, before + 1);
      all += 1;
      return () => {
        const left = (taken.get(network) ?? 1) - 1;
        if (left === 0) taken.delete(network);
        else taken.set(network, left);
        all -= 1;
      };
    },
  };
}
