// What a stack takes of the machine, over some seconds: memory without what the kernel would give back, and processor time.
import { readdirSync, readFileSync } from "node:fs";
import { of, openEngine } from "../../scripts/stack/engine.ts";
import type { Finding } from "../chaos/books.ts";
import type { Daemon, Dockerd } from "./daemon.ts";
import { STACK } from "./swarm.ts";

const MIB = 2 ** 20;
/** What /proc counts processor time in. */
const TICK_NS = 10_000_000;

export interface Use {
  /** A service, or the Engine. */
  of: string;
  tasks: number;
  memoryMiB: number;
  /** Of processors. */
  cores: number;
}

/** Only what is used of the Engine's answers. */
interface Stats {
  cpu_stats: { cpu_usage: { total_usage: number } };
  memory_stats: { usage?: number; stats?: { total_inactive_file?: number; inactive_file?: number } };
}

interface Sample {
  of: string;
  cpuNs: number;
  memoryMiB: number;
}

/** Of what runs at both ends of that time. */
export async function useOf(daemon: Daemon, spanMs: number): Promise<Use[]> {
  const began = performance.now();
  const before = await sample(daemon);
  await Bun.sleep(spanMs);
  const after = await sample(daemon);
  const tookNs = (performance.now() - began) * 1e6;
  const both = [...after].filter(([id]) => before.has(id));
  return Array.from(
    Map.groupBy(both, ([, { of }]) => of),
    ([of, found]) => ({
      of,
      tasks: found.length,
      memoryMiB: sum(found.map(([, { memoryMiB }]) => memoryMiB)),
      cores: sum(found.map(([id, { cpuNs }]) => cpuNs - (before.get(id)?.cpuNs ?? 0))) / tookNs,
    }),
  ).toSorted((a, b) => b.memoryMiB - a.memoryMiB);
}

export function totalOf(uses: Use[]): Use {
  return {
    of: "together",
    tasks: sum(uses.map(({ tasks }) => tasks)),
    memoryMiB: sum(uses.map(({ memoryMiB }) => memoryMiB)),
    cores: sum(uses.map(({ cores }) => cores)),
  };
}

/** Where there is a bar. */
export function tooMuch(uses: Use[], memoryMiBMax: number | undefined): Finding[] {
  if (!memoryMiBMax) return [];
  const took = Math.round(totalOf(uses).memoryMiB);
  const found = took <= memoryMiBMax ? [] : [`it took ${took} MiB of memory, expected ${memoryMiBMax} at most`];
  return [{ name: "all of it fits into the memory that it is for", found }];
}

/** One line each, with both: when nobody orders, and under load. */
export function linesOf(idle: Use[], busy: Use[]): string[] {
  const rows = [...busy, totalOf(busy)].map((use) => {
    const without = [...idle, totalOf(idle)].find((other) => other.of === use.of);
    const cells = [without, use].flatMap((each) =>
      each ? [`${Math.round(each.memoryMiB)} MiB`, `${each.cores.toFixed(3)} cores`] : ["", ""],
    );
    return `${use.of.padEnd(20)} ${String(use.tasks).padStart(2)} ${cells.map((cell) => cell.padStart(13)).join("")}`;
  });
  return [`${"".padEnd(23)} ${"idle".padStart(26)}${"under load".padStart(26)}`, ...rows];
}

async function sample(daemon: Daemon): Promise<Map<string, Sample>> {
  const all = await Promise.all([daemon, ...daemon.workers.values()].map(sampleOf));
  return new Map(all.flatMap((samples) => [...samples]));
}

async function sampleOf({ host, execRoot }: Dockerd): Promise<Map<string, Sample>> {
  const engine = openEngine(host);
  const containers = await engine.get<{ Id: string; Labels: Record<string, string> }[]>("/containers/json", of(STACK));
  const found = await Promise.all(
    containers.map(async ({ Id, Labels }): Promise<[string, Sample]> => {
      const query = { stream: "false", "one-shot": "true" };
      const { cpu_stats, memory_stats } = await engine.get<Stats>(`/containers/${Id}/stats`, query);
      const { usage = 0, stats = {} } = memory_stats;
      const cached = stats.total_inactive_file ?? stats.inactive_file ?? 0;
      const service = Labels["com.docker.swarm.service.name"]?.replace(`${STACK}_`, "") ?? Id;
      return [Id, { of: service, cpuNs: cpu_stats.cpu_usage.total_usage, memoryMiB: (usage - cached) / MIB }];
    }),
  );
  return new Map([...found, ...engineProcesses(execRoot)]);
}

/** dockerd, containerd, and what stands between it and each container. */
function engineProcesses(execRoot: string): [string, Sample][] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      const words = read(`/proc/${pid}/cmdline`).split("\0");
      if (!/(^|\/)(dockerd|containerd[^/]*)$/.test(words[0] ?? "") || !words.some((word) => word.startsWith(execRoot)))
        return [];
      const [, kib = "0"] = /^Pss:\s+(\d+)/m.exec(read(`/proc/${pid}/smaps_rollup`)) ?? [];
      // After the name, which may have spaces in it: the 12th and 13th are the ticks of itself and of the kernel for it.
      const fields = read(`/proc/${pid}/stat`)
        .replace(/^.*\) /, "")
        .split(" ");
      const ticks = Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
      return [[`process ${pid}`, { of: "the Engine", cpuNs: ticks * TICK_NS, memoryMiB: Number(kib) / 1_024 }]];
    });
}

/** Empty of a process that has just ended. */
function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) return "";
    throw error;
  }
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
