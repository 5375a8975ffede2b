// A way to a server that can be made to swallow everything: connections stay open, and nobody hears anything any more.
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface TcpProxy {
  port: number;
  swallow(): void;
  /** What was swallowed arrives late. */
  pass(): void;
  end(): Promise<void>;
}

export async function startTcpProxy(target: { hostname: string; port: number }): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  let swallowing = false;
  const server = createServer((near) => {
    const far = connect(target.port, target.hostname);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      one.on("data", (data) => other.write(data));
      if (swallowing) one.pause();
      // Its end ends the other; which error it was, each side learns from its own program.
      one.on("error", () => other.destroy());
      one.on("close", () => {
        sockets.delete(one);
        other.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    // A server that listens on TCP has such an address.
    port: (server.address() as AddressInfo).port,
    swallow() {
      swallowing = true;
      for (const socket of sockets) socket.pause();
    },
    pass() {
      swallowing = false;
      for (const socket of sockets) socket.resume();
    },
    async end() {
      const ended = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await ended;
    },
  };
}
