import { accountTiming, DEVIATIONS_MAX } from "./account-timing.ts";
import { median, percentile, table } from "./figures.ts";
import type { Options } from "./place-order.ts";
import { memoryOf } from "./processes.ts";
import type { Report } from "./run.ts";
import { type Stack, startStack } from "./stack.ts";

const TRIES = { quick: 100, full: 2_000 };
const FLOOD_MS = { quick: 2_000, full: 5_000 };
const CONNECTIONS = 500;
/** Longer than either port lets a silent connection stand. */
const IDLE_MS = 36_000;
const HEALTH_MS_MAX = 100;

/** Figures of attacks, against a platform of its own; nothing leaves this machine. */
export async function abuse({ quick }: Options): Promise<Report> {
  const size = quick ? "quick" : "full";
  const timing = await onStack({ RATE_LIMITS: "off" }, (stack) => accountTiming(stack, TRIES[size]));
  const { flood, idle } = await onStack({ RATE_LIMITS: "on" }, async (stack) => ({
    flood: await floodOf(stack, FLOOD_MS[size]),
    idle: await idleOf(stack),
  }));
  const passed =
    timing.deviations <= DEVIATIONS_MAX && flood.during.p99 <= HEALTH_MS_MAX && idle.every(({ left }) => left === 0);
  return { text: [timing.text, flood.text, idleText(idle)].join("\n\n"), figures: { timing, flood, idle }, passed };
}

async function onStack<T>(env: Record<string, string>, work: (stack: Stack) => Promise<T>): Promise<T> {
  const stack = await startStack(env);
  try {
    return await work(stack);
  } finally {
    await stack.close();
  }
}

/** How quick /healthz is while one client sends as fast as it can what no route's budget sees. */
async function floodOf(stack: Stack, ms: number) {
  const before = await healthOf(stack, ms / 2);
  const flooding = Bun.spawn([process.execPath, `${import.meta.dir}/flood.ts`, stack.edge, String(ms)], {
    stdout: "pipe",
  });
  const during = await healthOf(stack, ms - 200);
  const counts: { answered: number; refused: number; connections: number } = JSON.parse(
    await new Response(flooding.stdout).text(),
  );
  const row = (name: string, { p50, p99, max }: typeof before) => [
    name,
    ...[p50, p99, max].map((each) => each.toFixed(1)),
  ];
  const text = `/healthz beside one connection at full rate (404s, pipelined)\n${table(
    ["", "p50 ms", "p99 ms", "max ms"],
    [row("in peace", before), row("flooded", during)],
  )}\n${counts.answered} answered, ${counts.refused} refused, hung up on ${counts.connections} times in ${ms} ms`;
  return { before, during, counts, text };
}

async function healthOf({ edge }: Stack, ms: number) {
  const times: number[] = [];
  for (const end = performance.now() + ms; performance.now() < end; await Bun.sleep(5)) {
    const started = performance.now();
    await (await fetch(`${edge}/healthz`)).text();
    times.push(performance.now() - started);
  }
  return { p50: median(times), p99: p99Of(times), max: Math.max(...times) };
}

const p99Of = (times: number[]) => percentile(Float64Array.from(times).sort(), 99);

/** Connections that say nothing: how many stand at once, how many after a while, and what they cost. */
async function idleOf(stack: Stack) {
  const memory = memoryOf(stack.serverPid);
  const ports = { "the edge": Number(new URL(stack.edge).port), "native gRPC": stack.grpcPort };
  const held = await Promise.all(Object.entries(ports).map(async ([name, port]) => ({ name, open: await hold(port) })));
  await Bun.sleep(1_000);
  const taken = held.map(({ open }) => open.size);
  const grown = memoryOf(stack.serverPid) - memory;
  await Bun.sleep(IDLE_MS);
  return held.map(({ name, open }, at) => ({
    name,
    asked: CONNECTIONS,
    taken: taken[at] ?? 0,
    left: open.size,
    grown,
  }));
}

async function hold(port: number): Promise<Set<unknown>> {
  const open = new Set<unknown>();
  for (let index = 0; index < CONNECTIONS; index++) {
    const forget = (socket: unknown) => void open.delete(socket);
    open.add(
      await Bun.connect({ hostname: "127.0.0.1", port, socket: { data: () => {}, close: forget, error: forget } }),
    );
  }
  return open;
}

function idleText(idle: Awaited<ReturnType<typeof idleOf>>): string {
  const rows = idle.map(({ name, asked, taken, left }) => [name, asked, taken, left].map(String));
  const grown = ((idle[0]?.grown ?? 0) / 1e6).toFixed(1);
  return `Connections that say nothing\n${table(["", "opened", "stand", `after ${IDLE_MS / 1_000} s`], rows)}\n${grown} MB for all of them`;
}
