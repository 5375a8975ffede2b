// A way to a server, or to several of one kind: it can be made slow, to swallow everything while connections stay open, or to lose what comes back.
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface TcpProxy {
  port: number;
  /** Nothing arrives any more, in neither direction. */
  swallow(): void;
  /** What is asked arrives and is done; the answers are lost, and their connections with them when it passes again. */
  loseAnswers(): void;
  /** Every answer comes so much later. */
  delayAnswers(ms: number): void;
  /** As at first. What was swallowed arrives late. */
  pass(): void;
  end(): Promise<void>;
}

export interface Target {
  hostname: string;
  port: number;
}

/** Connections go to the targets in turn; one that refuses is passed over. */
export async function startTcpProxy(...targets: [Target, ...Target[]]): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  const robbed = new Set<Socket>();
  const how = { swallowing: false, losing: false, delayMs: 0 };
  let turn = 0;

  function answer(near: Socket, late: (string | Uint8Array)[], data: string | Uint8Array) {
    if (how.losing) return void robbed.add(near);
    if (how.delayMs === 0 && late.length === 0) return void near.write(data);
    late.push(data);
    // Whichever timer is first, what came first goes first.
    setTimeout(() => near.write(late.shift() ?? ""), how.delayMs);
  }

  function join(near: Socket, far: Socket) {
    near.on("data", (data) => {
      // Its answer may come only after the way is open again: it is lost too.
      if (how.losing) robbed.add(near);
      far.write(data);
    });
    const late: (string | Uint8Array)[] = [];
    far.on("data", (data) => answer(near, late, data));
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      // Its end ends the other; which error it was, each side learns from its own program.
      one.on("error", () => other.destroy());
      one.on("close", () => {
        sockets.delete(one);
        robbed.delete(one);
        setTimeout(() => other.destroy(), how.delayMs);
      });
      if (how.swallowing) one.pause();
      else one.resume();
    }
  }

  function dial(near: Socket, left: Target[]) {
    const [target, ...others] = left;
    if (!target || near.destroyed) return void near.destroy();
    const far = connect(target.port, target.hostname);
    const refused = () => dial(near, others);
    far.once("error", refused);
    far.once("connect", () => {
      far.off("error", refused);
      join(near, far);
    });
  }

  const server = createServer({ pauseOnConnect: true }, (near) => {
    near.on("error", () => near.destroy());
    const first = turn++ % targets.length;
    dial(near, [...targets.slice(first), ...targets.slice(0, first)]);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    // A server that listens on TCP has such an address.
    port: (server.address() as AddressInfo).port,
    swallow() {
      how.swallowing = true;
      for (const socket of sockets) socket.pause();
    },
    loseAnswers() {
      how.losing = true;
    },
    delayAnswers(ms) {
      how.delayMs = ms;
    },
    pass() {
      Object.assign(how, { swallowing: false, losing: false, delayMs: 0 });
      for (const socket of robbed) socket.destroy();
      for (const socket of sockets) socket.resume();
    },
    async end() {
      const ended = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await ended;
    },
  };
}
