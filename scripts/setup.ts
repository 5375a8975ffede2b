// Preloaded by every script of package.json, before anything that needs a package: brings the packages when they are missing or
// older than bun.lock. Imports no package itself.
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dir, "..");
const BUN_WANTED = ">=1.4.1"; // the first whose server speaks HTTP/2

const problem = oldBun() ?? (await installPackages());
if (problem) {
  console.error(problem);
  process.exit(1);
}

function oldBun(): string | undefined {
  if (Bun.semver.satisfies(Bun.version, BUN_WANTED)) return undefined;
  return `Bodega wants Bun ${BUN_WANTED}, this is ${Bun.version}: run "bun upgrade" or "npx -y bun@1.4.5 dev".`;
}

/** A stamp written last tells a whole installation of this lock file from an interrupted or an older one. */
async function installPackages(): Promise<string | undefined> {
  const stamp = join(ROOT, "node_modules", ".bodega-installed");
  const wanted = fingerprint();
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return undefined;
  console.error("Installing packages …");
  // stdout is for what the command itself prints.
  const install = Bun.spawn(["sh", "-c", 'exec "$0" install --frozen-lockfile >&2', process.execPath], {
    cwd: ROOT,
    env: { ...process.env, BUN_BE_BUN: "1" },
    stdio: ["ignore", "inherit", "inherit"],
  });
  const code = await install.exited;
  if (code !== 0)
    return `"bun install --frozen-lockfile" ended with ${install.signalCode ?? code} (see above): check the network, the registry and the free disk space, then start again.`;
  writeFileSync(stamp, wanted);
  return undefined;
}

/** Of all that decides what an installation holds. */
function fingerprint(): string {
  const patches = join(ROOT, "patches");
  const names = existsSync(patches) ? readdirSync(patches).sort() : [];
  const files = [join(ROOT, "package.json"), join(ROOT, "bun.lock"), ...names.map((name) => join(patches, name))];
  return files.map((file) => String(Bun.hash(readFileSync(file)))).join("\n");
}
