// A client that is no client: it writes bytes and sees bytes.

/** What has come so far, one character a byte. */
export interface Inbox {
  got(): string;
  /** Resolves with all that came once `enough` says so, or no more can come; rejects when neither happens. */
  until(enough: (got: string) => boolean): Promise<string>;
  /** No more can come. */
  ended(): boolean;
}

export interface Raw extends Inbox {
  write(bytes: string | Uint8Array): void;
  close(): void;
}

const PATIENCE_MS = 20_000;

export function createInbox() {
  let text = "";
  let over = false;
  let changed = Promise.withResolvers<void>();
  const wake = () => {
    changed.resolve();
    changed = Promise.withResolvers<void>();
  };
  return {
    push(bytes: Uint8Array) {
      text += Buffer.from(bytes).toString("latin1");
      wake();
    },
    end() {
      over = true;
      wake();
    },
    got: () => text,
    ended: () => over,
    async until(enough: (got: string) => boolean) {
      const patience = Promise.withResolvers<never>();
      const timer = setTimeout(
        () => patience.reject(new Error(`waited in vain; came ${JSON.stringify(text)}`)),
        PATIENCE_MS,
      );
      try {
        while (!enough(text) && !over) await Promise.race([changed.promise, patience.promise]);
      } finally {
        clearTimeout(timer);
      }
      return text;
    },
  };
}

export async function dial(port: number, hostname = "127.0.0.1"): Promise<Raw> {
  const { push, end, ...inbox } = createInbox();
  const socket = await Bun.connect({
    hostname,
    port,
    socket: { data: (_, bytes) => push(bytes), close: end, error: end },
  });
  return {
    ...inbox,
    write: (bytes) => void socket.write(bytes),
    close: () => void socket.end(),
  };
}

/** Sends one request on a connection of its own and gives the head of the answer. */
export async function exchange(port: number, request: string): Promise<string> {
  const raw = await dial(port);
  raw.write(request);
  const got = await raw.until((text) => text.includes("\r\n\r\n"));
  raw.close();
  return got;
}
