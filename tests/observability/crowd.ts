import { connect, type Socket } from "node:net";

/** More than a process has under way at one time: services/gateway/admission/crowd.ts. */
const CROWD = 1_100;
const AGAIN_MS = 500;

/** People who begin a call and do not end it, and come again when they are sent away. They cost next to nothing and have what others need: a place. Gives back the end of it. */
export function crowd(edge: string): () => void {
  const { hostname, port, host } = new URL(edge);
  const begun = `POST /bodega.product.v1.ProductService/ListProducts HTTP/1.1\r\nhost: ${host}\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n`;
  const sockets = new Set<Socket>();
  let over = false;
  function come() {
    if (over) return;
    const socket = connect(Number(port), hostname, () => socket.write(begun));
    sockets.add(socket);
    socket.resume();
    // Whatever it was, they come again.
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      sockets.delete(socket);
      setTimeout(come, AGAIN_MS);
    });
  }
  for (let one = 0; one < CROWD; one++) come();
  return () => {
    over = true;
    for (const socket of sockets) socket.destroy();
  };
}
