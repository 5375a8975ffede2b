// Questions asked over a plain socket: whether a server answers in its own protocol says more than an open port.
import { connect, createServer } from "node:net";

const ANSWER_MAX_MS = 1_000;

/** The answer so far once `enough` is content with it; undefined when nobody answers like that within a second. */
export async function ask(
  port: number,
  question: string | Uint8Array,
  enough: (answer: Buffer) => boolean,
): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    let answer = Buffer.alloc(0);
    const socket = connect({ host: "127.0.0.1", port });
    const finish = (result: Buffer | undefined) => {
      resolve(result);
      socket.destroy();
    };
    socket.setTimeout(ANSWER_MAX_MS, () => finish(undefined));
    socket.on("error", () => finish(undefined)); // refused or cut: no answer
    socket.on("close", () => finish(undefined));
    socket.on("connect", () => socket.write(question));
    socket.on("data", (chunk: Buffer) => {
      answer = Buffer.concat([answer, chunk]);
      if (enough(answer)) finish(answer);
    });
  });
}

export async function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen({ host: "127.0.0.1", port, exclusive: true }, () => probe.close(() => resolve(true)));
  });
}
