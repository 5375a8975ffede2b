// `bun dev`: everything in one process, with nothing but Bun installed. Imports no package at the top, because the
// packages may have to be fetched first.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dir, "..");
const BUN_WANTED = ">=1.4.1"; // the first whose server speaks HTTP/2
const PARENT_CHECK_MS = 100;

try {
  refuseOldBun();
  await installPackages();
  leaveWithParent();
  const { main } = await import("../services/main.ts");
  await main(process.argv.slice(2));
} catch (error) {
  const expected = error instanceof Error && error.name === "StartError";
  console.error(expected ? error.message : error);
  process.exit(1);
}

function refuseOldBun(): void {
  if (Bun.semver.satisfies(Bun.version, BUN_WANTED)) return;
  throw startError(
    `Bodega wants Bun ${BUN_WANTED}, this is ${Bun.version}: run "bun upgrade" or "npx -y bun@1.4.5 dev".`,
  );
}

/** A stamp written last tells a whole installation of this lock file from an interrupted or an older one. */
async function installPackages(): Promise<void> {
  const stamp = join(ROOT, "node_modules", ".bodega-installed");
  const wanted = String(Bun.hash(readFileSync(join(ROOT, "bun.lock"))));
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  console.error("Installing packages …");
  const install = Bun.spawn([process.execPath, "install", "--frozen-lockfile"], {
    cwd: ROOT,
    env: { ...process.env, BUN_BE_BUN: "1" },
    stdin: "ignore",
    stdout: "inherit",
    stderr: "inherit",
  });
  const code = await install.exited;
  if (code !== 0) {
    throw startError(
      `"bun install --frozen-lockfile" ended with ${install.signalCode ?? code} (see above): check the network, the registry and the free disk space, then start again.`,
    );
  }
  writeFileSync(stamp, wanted);
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

function startError(message: string): Error {
  const error = new Error(message);
  error.name = "StartError";
  return error;
}
