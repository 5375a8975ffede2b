// Which room may import which: a reader who knows a floor needs nothing of what is above it.
import { type File, type Finding, importsOf, isProduct, isScript, isTest } from "./source.ts";

/** From the ground up. A room imports what is on the floors below, nothing of its own floor's other rooms, nothing from above. `*` is one name. */
const FLOORS = [
  ["packages/time", "packages/api"],
  ["packages/telemetry"],
  ["packages/database"],
  ["packages/events", "packages/jobs", "packages/locks"],
  ["packages/service"],
  ["packages/service/wire"],
  ["packages/service/engine"],
  ["services/*"],
  ["services"],
];
const OUTSIDE = /^(tests|scripts|bench|clients)\//;

export function rooms(file: File): Finding[] {
  if (!isScript(file.path) || !isProduct(file.path) || isTest(file.path)) return [];
  const from = roomOf(file.path);
  return importsOf(file).flatMap(({ to, line }) => {
    const finding = (why: string) => [{ path: file.path, line, says: `${from.name} imports ${to}: ${why}` }];
    if (OUTSIDE.test(to)) return finding("what ships needs nothing of what does not");
    if (!isProduct(to)) return [];
    const target = roomOf(to);
    if (target.name === from.name || target.floor < from.floor) return [];
    return finding(target.floor === from.floor ? "they are neighbours" : "it is on a floor above");
  });
}

/** The innermost room that a file is in. Folders without a floor of their own belong to the room around them. */
function roomOf(path: string): { name: string; floor: number } {
  const parts = path.split("/").slice(0, -1);
  for (let depth = parts.length; depth > 0; depth--) {
    const name = parts.slice(0, depth).join("/");
    const floor = FLOORS.findIndex((floor) => floor.some((room) => room === name || room === anyOf(name)));
    if (floor >= 0) return { name, floor };
  }
  throw new Error(`${path} is in no room: give it a floor in scripts/tidy/rooms.ts`);
}

/** services/order is services/*. */
function anyOf(name: string): string {
  return name.replace(/[^/]+$/, "*");
}
