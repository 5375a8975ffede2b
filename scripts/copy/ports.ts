// The ports of a copy that runs beside others.
import { type AddressInfo, createServer, type Server } from "node:net";

/** Those of the program, by their variables, as `bun dev` has them when nothing is said. */
export const PORTS = { PORT: 8080, GRPC_PORT: 50051, OPS_PORT: 9091, MAIL_PORT: 8025, SMTP_PORT: 1025 };

export type Environment = Record<string, string>;

/** Below those that a system gives to whoever asks for any: a copy that is restarted must find its port free again. */
const FIRST = 10_000;
const LAST = 24_000;
const TRIES_MAX = 100;

/** A free port for each of these variables: held together, so that no two are the same, and let go. */
export async function freePorts(names: string[] = Object.keys(PORTS)): Promise<Environment> {
  const servers = await Promise.all(names.map(() => somewhere()));
  const ports = servers.map(portOf);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return Object.fromEntries(names.map((name, index) => [name, String(ports[index])]));
}

export async function freePort(): Promise<number> {
  return Number((await freePorts(["PORT"]))["PORT"]);
}

async function somewhere(): Promise<Server> {
  for (let tries = 1; ; tries++) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST));
    const server = await listening(port).catch((error: unknown) => {
      if (tries === TRIES_MAX) throw error;
    });
    if (server) return server;
  }
}

/** Somebody who holds a port, 0 for any; rejects when another one does. */
export function listening(port: number): Promise<Server> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => resolve(server));
  });
}

function portOf(server: Server): number {
  // A server that listens on TCP has such an address.
  return (server.address() as AddressInfo).port;
}
