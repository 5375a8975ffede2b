import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts } from "../scripts/copy/ports.ts";
import { table } from "./figures.ts";
import { memoryOf } from "./processes.ts";

const WEBHOOKS = 40;
/** What Bun's server takes of a request at most. */
const WEBHOOK_BYTES = 16 * 1_048_576;
/** A quarter of what is sent at once would still be a way to end the process. */
export const GROWN_BYTES_MAX = 128e6;
const LOOK_MS = 10;
const CHUNK_BYTES = 65_536;
/** Longer than either end lets the other be silent. */
const PATIENCE_MS = 40_000;
const mb = (bytes: number) => (bytes / 1e6).toFixed(1);

/**
 * An edge alone, as with services apart: what forty webhooks of 16 MiB at once leave in its memory, and in the service behind it. A body that says how long it is
 * can be refused unread, one in chunks cannot.
 */
export async function webhooksOf() {
  const heard = { requests: 0 };
  const payment = Bun.serve({
    ...{ port: 0, hostname: "127.0.0.1" },
    fetch: () => {
      heard.requests += 1;
      return new Response("heard");
    },
  });
  const folder = mkdtempSync(join(tmpdir(), "bodega-bench-edge-"));
  const edge = await startEdge(join(folder, "log"), payment.port ?? 0);
  try {
    const body = new Uint8Array(WEBHOOK_BYTES);
    const declared = await sent(edge, withLength(body));
    const chunked = await sent(edge, inChunks(body));
    const rows = Object.entries({ "with a length": declared, "in chunks": chunked }).map(
      ([name, { grown, taken, answers }]) => [name, mb(taken), mb(grown), answers],
    );
    const text = `${WEBHOOKS} webhooks of 16 MiB at once, services apart\n${table(["", "MB taken", "MB grown at most", "answers"], rows)}\n${heard.requests} of them reached the service`;
    const grown = Math.max(declared.grown, chunked.grown);
    return { declared, chunked, grown, heard: heard.requests, text };
  } finally {
    await edge.close();
    await payment.stop(true);
    rmSync(folder, { recursive: true, force: true });
  }
}

async function startEdge(logFile: string, paymentPort: number) {
  const { PATH = "", HOME = "" } = process.env;
  const ports = await freePorts();
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "../services/main.ts"), "gateway"], {
    env: {
      ...{ PATH, HOME, ...ports },
      ...{ GATEWAY_KEY: "what the edge of this bench signs with", RATE_LIMITS: "on" },
      PAYMENT_URL: `http://127.0.0.1:${paymentPort}`,
    },
    stdio: ["ignore", Bun.file(logFile), Bun.file(logFile)],
  });
  const url = `http://127.0.0.1:${ports["PORT"]}`;
  for (;;) {
    const answered = await fetch(`${url}/healthz`).then(
      ({ ok }) => ok,
      () => false,
    ); // It is not there yet.
    if (answered) break;
    if (child.exitCode !== null)
      throw new Error(`the edge ended with ${child.exitCode}: ${await Bun.file(logFile).text()}`);
    await Bun.sleep(LOOK_MS);
  }
  return {
    ...{ url, pid: child.pid },
    async close() {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

/** The most that its memory grew while they came in, how they were answered, and how much it took of them. */
async function sent({ url, pid }: { url: string; pid: number }, bytes: Uint8Array) {
  const before = memoryOf(pid);
  let most = before;
  const looking = setInterval(() => {
    most = Math.max(most, memoryOf(pid));
  }, LOOK_MS);
  const outcomes = await Promise.all(Array.from({ length: WEBHOOKS }, () => push(Number(new URL(url).port), bytes)));
  clearInterval(looking);
  const counted = new Map<string, number>();
  for (const { answer } of outcomes) counted.set(answer, (counted.get(answer) ?? 0) + 1);
  return {
    grown: most - before,
    taken: outcomes.reduce((sum, { taken }) => sum + taken, 0),
    answers: [...counted].map(([answer, times]) => `${times} x ${answer}`).join(", "),
  };
}

/** Somebody who goes on sending whatever is answered, until all is sent or nobody takes any more. */
async function push(port: number, bytes: Uint8Array): Promise<{ answer: string; taken: number }> {
  const ended = Promise.withResolvers<void>();
  let [taken, came] = [0, ""];
  const send = (socket: Bun.Socket) => {
    while (taken < bytes.byteLength) {
      const written = socket.write(bytes.subarray(taken, taken + CHUNK_BYTES));
      if (written <= 0) return;
      taken += written;
    }
    if (came !== "") ended.resolve();
  };
  const socket = await Bun.connect({
    ...{ hostname: "127.0.0.1", port },
    socket: {
      open: send,
      drain: send,
      data(socket, answer) {
        came += answer.toString("latin1");
        send(socket);
      },
      close: () => ended.resolve(),
      error: () => ended.resolve(),
    },
  });
  const late = setTimeout(ended.resolve, PATIENCE_MS);
  await ended.promise;
  clearTimeout(late);
  socket.terminate();
  return { answer: /^HTTP\/1\.1 (\d+) /.exec(came)?.[1] ?? "no answer", taken };
}

const HEAD = "POST /webhooks/embedded HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n";

function withLength(body: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(`${HEAD}Content-Length: ${body.byteLength}\r\n\r\n`), body]);
}

function inChunks(body: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [Buffer.from(`${HEAD}Transfer-Encoding: chunked\r\n\r\n`)];
  for (let at = 0; at < body.byteLength; at += CHUNK_BYTES) {
    const chunk = body.subarray(at, at + CHUNK_BYTES);
    parts.push(Buffer.from(`${chunk.byteLength.toString(16)}\r\n`), chunk, Buffer.from("\r\n"));
  }
  return Buffer.concat([...parts, Buffer.from("0\r\n\r\n")]);
}
