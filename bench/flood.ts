// The process that floods: one connection after the other, each sending requests as fast as it takes them. Says what came of it.
const [url = "", ms = "3000"] = process.argv.slice(2);
const { hostname, port, host } = new URL(url);
if (hostname !== "127.0.0.1") throw new Error(`a flood goes to loopback only, found ${hostname}`);
const PIPELINED = 500;
const requests = Buffer.from(`GET /v1/nothing HTTP/1.1\r\nHost: ${host}\r\n\r\n`.repeat(PIPELINED));
const counts = { answered: 0, refused: 0, connections: 0 };
const over = performance.now() + Number(ms);

while (performance.now() < over) await once();
console.log(JSON.stringify(counts));
process.exit(0);

/** Until it is hung up on, or the time is over. */
async function once(): Promise<void> {
  counts.connections += 1;
  const ended = Promise.withResolvers<void>();
  let rest = requests;
  const send = (socket: { write(bytes: Uint8Array): number }) => {
    for (;;) {
      const written = socket.write(rest);
      if (written < rest.byteLength) {
        rest = rest.subarray(Math.max(0, written));
        return;
      }
      rest = requests;
    }
  };
  const socket = await Bun.connect({
    hostname,
    port: Number(port),
    socket: {
      open: send,
      drain: send,
      data(_, bytes) {
        const text = bytes.toString("latin1");
        counts.answered += text.split("HTTP/1.1 404 ").length - 1;
        counts.refused += text.split("HTTP/1.1 429 ").length - 1;
      },
      close: () => ended.resolve(),
      error: () => ended.resolve(),
    },
  });
  await Promise.race([ended.promise, Bun.sleep(Math.max(1, over - performance.now()))]);
  socket.terminate();
}
