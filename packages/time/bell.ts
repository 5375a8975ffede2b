/** A wake-up call that is not lost when nobody waits yet. */
export interface Bell {
  ring(): void;
  /** Resolves true when rung or closed, false after `ms`. */
  rung(ms: number): Promise<boolean>;
  close(): void;
  closed(): boolean;
}

export function createBell(): Bell {
  let pending = false;
  let closed = false;
  let waiter: (() => void) | undefined;
  const wake = () => {
    pending = true;
    waiter?.();
  };
  return {
    ring: wake,
    closed: () => closed,
    close() {
      closed = true;
      wake();
    },
    async rung(ms) {
      if (!pending && !closed) {
        const { promise, resolve } = Promise.withResolvers<void>();
        const timer = setTimeout(resolve, ms);
        waiter = resolve;
        await promise;
        clearTimeout(timer);
        waiter = undefined;
      }
      const rung = pending;
      pending = false;
      return rung || closed;
    },
  };
}
