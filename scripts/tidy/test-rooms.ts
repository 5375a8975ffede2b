// What is not the product: which room may import which. The product is open to all of them, but for clients, which know its API alone.
import { type File, type Finding, importsOf, isProduct, isScript, isTest } from "./source.ts";

/** Besides itself and the product. The first that a path begins with is its room. */
const MAY_IMPORT: [room: string, others: string[]][] = [
  ["tests/kit/", ["scripts/"]],
  ["tests/apart/", ["scripts/", "clients/edge/", "tests/kit/", "tests/chaos/"]],
  ["tests/nemesis/", ["scripts/", "clients/edge/", "tests/kit/", "tests/chaos/", "tests/apart/"]],
  ["tests/stack/", ["scripts/", "tests/kit/", "tests/chaos/", "tests/observability/"]],
  ["tests/observability/", ["scripts/", "bench/", "tests/kit/"]],
  ["tests/*/", ["scripts/", "clients/edge/", "tests/kit/"]],
  ["bench/", ["scripts/"]],
  ["clients/*/", ["clients/edge/"]],
  ["scripts/", []],
];
/** For tests beside the code, and for the runners, which start what tests stand on. */
const BESIDE = ["scripts/", "tests/kit/"];
const RUNNERS = ["scripts/test.ts", "scripts/mutants.ts"];

export function testRooms(file: File): Finding[] {
  // The rules' own tests have planted imports in them.
  if (!isScript(file.path) || file.path.startsWith("scripts/tidy/")) return [];
  const [room, others] = roomOf(file.path);
  return importsOf(file).flatMap(({ to, line }) => {
    const [target] = roomOf(to);
    if (room.startsWith("clients/") && !isTest(file.path) && isProduct(to) && !to.startsWith("packages/api/"))
      return [{ path: file.path, line, says: `a client imports ${to}: of the product it knows packages/api` }];
    if (target === "" || target === room || others.includes(target)) return [];
    return [{ path: file.path, line, says: `${to} is not for ${room || file.path}: ${ADVICE}` }];
  });
}

const ADVICE = "what several rooms of tests need is in tests/kit, what runs a copy or a server in scripts";

/** Empty for the product and for packages from outside, which this rule says nothing of. */
function roomOf(path: string): [room: string, others: string[]] {
  if (isProduct(path)) return ["", isTest(path) ? BESIDE : []];
  const found = MAY_IMPORT.find(([room]) => path.startsWith(room) || matches(room, path));
  if (!found) return ["", []];
  const room = found[0].includes("*") ? `${path.split("/").slice(0, 2).join("/")}/` : found[0];
  const beside = !room.startsWith("tests/") && (isTest(path) || RUNNERS.includes(path));
  return [room, beside ? [...found[1], ...BESIDE] : found[1]];
}

function matches(room: string, path: string): boolean {
  return room.includes("*") && path.startsWith(room.slice(0, room.indexOf("*"))) && path.split("/").length > 2;
}
