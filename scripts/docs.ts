// bun run docs: writes the pages that follow from the code. With --check it only says which of them have fallen behind.
import { join } from "node:path";
import { ENV } from "./command.ts";
import { configurationPage } from "./docs/configuration-page.ts";
import { referencePage } from "./docs/reference.ts";
import { ROOT } from "./tree.ts";

const PAGES: Record<string, () => Promise<string>> = {
  "docs/configuration.md": configurationPage,
  "docs/reference.md": referencePage,
};
const MARK = "<!-- Written by `bun run docs`: change the code, not this page. -->\n\n";

if (import.meta.main) {
  if (process.argv.includes("--check")) {
    const { code, output } = await docsAreCurrent();
    console.log(output);
    process.exitCode = code;
  } else {
    for (const [path, make] of Object.entries(PAGES)) await Bun.write(join(ROOT, path), await written(path, make));
    console.log(`wrote ${Object.keys(PAGES).join(" and ")}`);
  }
}

/** Compares the pages with what the code says now, as a check of scripts/check.ts. */
export async function docsAreCurrent(root = ROOT): Promise<{ code: number; output: string }> {
  const stale: string[] = [];
  for (const [path, make] of Object.entries(PAGES)) {
    const page = Bun.file(join(root, path));
    if (!(await page.exists()) || (await page.text()) !== (await written(path, make))) stale.push(path);
  }
  return stale.length === 0
    ? { code: 0, output: "the generated pages are what the code says" }
    : { code: 1, output: `${stale.join(" and ")}: not what the code says: bun run docs` };
}

/** Formatted like every other page: the generated ones are no exception to Biome's check. */
async function written(path: string, make: () => Promise<string>): Promise<string> {
  const biome = Bun.spawn(["biome", "format", `--stdin-file-path=${path}`], {
    cwd: ROOT,
    env: ENV,
    stdin: new Blob([MARK + (await make())]),
    stdout: "pipe",
    stderr: "inherit",
  });
  const text = await biome.stdout.text();
  if ((await biome.exited) !== 0) throw new Error(`biome could not format ${path}`);
  return text;
}
