import { readdirSync, readFileSync } from "node:fs";

/** Kernel ticks a second, as /proc counts them: 100 on every Linux that is in use. */
const TICKS_PER_SECOND = 100;

/** Microseconds of CPU a process has used, its dead children included; 0 when it is gone. Linux only. */
export function cpuOf(pid: number): number {
  const stat = statOf(pid);
  return stat ? ((stat.user + stat.system + stat.deadChildren) * 1e6) / TICKS_PER_SECOND : 0;
}

/** The same for a process and its children that live: a PostgreSQL server is a family. */
export function cpuOfFamily(pid: number): number {
  const children = readdirSync("/proc")
    .map(Number)
    .filter((each) => each > 0 && statOf(each)?.parent === pid);
  return [pid, ...children].reduce((sum, each) => sum + cpuOf(each), 0);
}

/** Bytes a process has in memory; 0 when it is gone. Linux only. */
export function memoryOf(pid: number): number {
  try {
    const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return Number(kib ?? 0) * 1_024;
  } catch {
    return 0; // It ended meanwhile.
  }
}

function statOf(pid: number) {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined; // It ended meanwhile.
  }
  // The name in parentheses may hold anything; what follows is numbers from field 3 on.
  const fields = text
    .slice(text.lastIndexOf(")") + 2)
    .split(" ")
    .map(Number);
  const field = (number: number) => fields[number - 3] ?? 0;
  return { parent: field(4), user: field(14), system: field(15), deadChildren: field(16) + field(17) };
}
