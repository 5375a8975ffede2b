// Writes what is made of the TypeScript here, or says how the committed files differ from it.
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { dashboardFiles } from "./grafana.ts";
import { ruleFiles } from "./rules.ts";

const FOLDERS: Record<string, () => Record<string, string>> = {
  "grafana/dashboards": dashboardFiles,
  "prometheus/rules": ruleFiles,
};

export async function generateObservability(): Promise<void> {
  for (const [folder, files] of Object.entries(FOLDERS)) {
    const path = join(import.meta.dir, folder);
    await rm(path, { recursive: true, force: true });
    await mkdir(path, { recursive: true });
    for (const [name, text] of Object.entries(files())) await writeFile(join(path, name), text);
  }
}

/** One line a file that is missing, stale or left over. */
export async function staleObservability(): Promise<string[]> {
  const found: string[] = [];
  for (const [folder, files] of Object.entries(FOLDERS)) {
    const wanted = files();
    const path = join(import.meta.dir, folder);
    for (const name of new Set([...Object.keys(wanted), ...(await readdir(path))])) {
      const file = join(path, name);
      if (!existsSync(file) || (await readFile(file, "utf8")) !== wanted[name])
        found.push(`observability/${folder}/${name}`);
    }
  }
  return found;
}
