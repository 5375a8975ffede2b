import { accountTiming, DEVIATIONS_MAX } from "./account-timing.ts";
import { bar, median, percentile, sentenceOf, table } from "./figures.ts";
import { loginsOf, TIMES_SLOWER_MAX } from "./logins.ts";
import type { Options } from "./place-order.ts";
import { memoryOf } from "./processes.ts";
import { DRAWN_PER_SECOND_MAX, reflectionOf } from "./reflection.ts";
import type { Report } from "./run.ts";
import { type Stack, startStack } from "./stack.ts";
import { GROWN_BYTES_MAX, webhooksOf } from "./webhooks.ts";

const TRIES = { quick: 100, full: 2_000 };
const FLOOD_MS = { quick: 2_000, full: 5_000 };
const CONNECTIONS = 500;
/** Longer than either port lets a silent connection stand. */
const IDLE_MS = 36_000;
const HEALTH_MS_MAX = 100;

/** Figures of attacks, against platforms of its own; nothing leaves this machine. */
export async function abuse({ quick }: Options): Promise<Report> {
  const size = quick ? "quick" : "full";
  const ms = FLOOD_MS[size];
  const timing = await onStack({ RATE_LIMITS: "off" }, (stack) => accountTiming(stack, TRIES[size]));
  const { flood, idle } = await onStack({ RATE_LIMITS: "on" }, async (stack) => ({
    flood: await floodOf(stack, ms),
    idle: await idleOf(stack),
  }));
  const reflection = await onStack({ RATE_LIMITS: "on", REFLECTION: "on" }, (stack) => reflectionOf(stack, ms));
  const logins = await onStack({ RATE_LIMITS: "on", TRUSTED_PROXIES: "127.0.0.1" }, (stack) => loginsOf(stack, ms));
  const webhooks = await webhooksOf();
  const bars = [
    bar("time tells nobody who has an account: deviations from chance", timing.deviations, DEVIATIONS_MAX),
    bar("health beside a flood, p99 ms", flood.during.p99, HEALTH_MS_MAX),
    ...idle.map(({ name, left }) => bar(`silent connections that ${name} still has at the end`, left, 0)),
    bar("what reflection tells one network, MB a second", reflection.perSecond / 1e6, DRAWN_PER_SECOND_MAX / 1e6),
    bar("people whom another network's flood of logins keeps out", logins.beside.refused, 0),
    bar("how much longer their logins take, times", logins.times, TIMES_SLOWER_MAX),
    bar("webhooks that reach the service though they are too long", webhooks.heard, 0),
    bar("memory of the edge that they take, MB", webhooks.grown / 1e6, GROWN_BYTES_MAX / 1e6),
  ];
  const parts = { timing, flood, reflection, logins, webhooks };
  return {
    text: [...Object.values(parts).map(({ text }) => text), idleText(idle), bars.map(sentenceOf).join("\n")].join(
      "\n\n",
    ),
    figures: { ...parts, idle, bars },
    passed: bars.every(({ met }) => met),
  };
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
