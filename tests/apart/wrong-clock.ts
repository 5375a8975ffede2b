// Preloaded by processes whose machine has a wrong clock: Date tells another time, and monotonic clocks go on as they do, as on such a machine. A file says
// by how many milliseconds it is ahead, and may change while the process runs.
import { readFileSync } from "node:fs";

const LOOK_MS = 200;
const file = process.env["CLOCK_FILE"];
if (file) {
  let ahead = Number(readFileSync(file, "utf8"));
  setInterval(() => {
    ahead = Number(readFileSync(file, "utf8"));
  }, LOOK_MS).unref();
  const right = Date.now;
  const Right = Date;
  Right.now = () => right() + ahead;
  globalThis.Date = new Proxy(Right, {
    construct: (Target, args: unknown[]) => Reflect.construct(Target, args.length === 0 ? [right() + ahead] : args),
  });
}
