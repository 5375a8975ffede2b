// A clone becomes runnable by running it. The checkout here is a small one with one local package, so that no registry is asked.
import { afterAll, expect, test } from "bun:test";
import { appendFileSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { must, run } from "./command.ts";
import { ROOT } from "./tree.ts";

const folder = mkdtempSync(join(tmpdir(), "bodega-setup-"));
const lock = join(folder, "bun.lock");
mkdirSync(join(folder, "scripts"));
mkdirSync(join(folder, "patches"));
copyFileSync(join(ROOT, "scripts/setup.ts"), join(folder, "scripts/setup.ts"));
writeFileSync(
  join(folder, "scripts/go.ts"),
  `import { version } from "piece/package.json";
console.log(import.meta.main, version, process.argv.slice(2).join(" "));`,
);
const manifest = {
  dependencies: { piece: "file:./piece" },
  scripts: { go: "bun --preload ./scripts/setup.ts scripts/go.ts" },
};
writeFileSync(join(folder, "package.json"), JSON.stringify(manifest));
mkdirSync(join(folder, "piece"));
writeFileSync(join(folder, "piece/package.json"), JSON.stringify({ name: "piece", version: "1.0.0" }));
await must([process.execPath, "install"], { cwd: folder });
rmSync(join(folder, "node_modules"), { recursive: true });
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const go = (...words: string[]) => run([process.execPath, "run", "--silent", "go", ...words], { cwd: folder });

test("the first command of a clone brings the packages, the next one finds them there", async () => {
  expect(await go("one", "--two")).toEqual({
    code: 0,
    output: expect.stringMatching(/^true 1.0.0 one --two\nInstalling/),
  });
  expect(await go("again")).toEqual({ code: 0, output: "true 1.0.0 again\n" });
});

test("another lock file, another manifest or another patch brings them again", async () => {
  appendFileSync(lock, "\n");
  expect((await go()).output).toContain("Installing packages …");
  expect((await go()).output).not.toContain("Installing");
  writeFileSync(join(folder, "package.json"), JSON.stringify({ ...manifest, description: "links other commands" }));
  expect((await go()).output).toContain("Installing packages …");
  writeFileSync(join(folder, "patches/small@1.0.0.patch"), "");
  expect((await go()).output).toContain("Installing packages …");
});

test("what cannot be installed is told, the command is not begun, and the next one tries again", async () => {
  writeFileSync(lock, "{ half of");
  for (const _ of [1, 2]) {
    const { code, output } = await go("on");
    expect(code).toBe(1);
    expect(output).toMatch(/"bun install --frozen-lockfile" ended with \d+ \(see above\)/);
    expect(output).not.toContain("true 1.0.0 on");
  }
});

test("every script of the project begins with it", async () => {
  // What bun itself runs after it has brought the packages is none that anybody asks for.
  const { postinstall: _, ...scripts } = (await Bun.file(join(ROOT, "package.json")).json()).scripts;
  const begun = Object.values<string>(scripts).filter((script) =>
    script.startsWith("bun --preload ./scripts/setup.ts "),
  );
  expect(begun).toHaveLength(Object.keys(scripts).length);
  expect(begun.length).toBeGreaterThan(5);
});
