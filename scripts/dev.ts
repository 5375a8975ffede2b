// `bun dev`: everything in one process, with nothing but Bun installed.
import { StartError } from "../packages/database/start-error.ts";
import { main } from "../services/main.ts";

const PARENT_CHECK_MS = 100;

try {
  leaveWithParent();
  await main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof StartError ? error.message : error);
  process.exit(1);
}

/** `bun dev` is a second process around this one; when that one is killed the hard way, nobody else would stop us. */
function leaveWithParent(): void {
  const parent = process.ppid;
  if (process.env["npm_lifecycle_event"] !== "dev" || parent <= 1) return;
  const check = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(check);
    process.kill(process.pid, "SIGTERM");
  }, PARENT_CHECK_MS);
  check.unref();
}
