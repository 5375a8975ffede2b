import { ROOT } from "../../scripts/tree.ts";

/**
 * Makes the databases of all services, or of some, as an operator does: services may not make any. This process goes on meanwhile, for it may be the way to the
 * server. `env` names the server and the secret.
 */
export async function provision(env: Record<string, string>, services: string[] = []): Promise<void> {
  const { PATH = "", HOME = "" } = process.env;
  const child = Bun.spawn([process.execPath, "services/main.ts", "provision", ...services], {
    cwd: ROOT,
    env: { PATH, HOME, ...env },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const [said, code] = await Promise.all([child.stderr.text(), child.exited]);
  if (code !== 0) throw new Error(`provision ended with ${code} and said: ${said}`);
}
