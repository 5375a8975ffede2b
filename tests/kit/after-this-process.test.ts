import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "./eventually.ts";

setDefaultTimeout(60_000);
const folder = mkdtempSync(join(tmpdir(), "bodega-after-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.each([
  ["ends", ""],
  ["has a test that takes too long", "return new Promise(() => {});"],
  ["is killed", 'process.kill(process.pid, "SIGKILL");'],
])("what is to be done after a process is done when it %s, and not before", async (how, body) => {
  const done = join(folder, `done ${how}`);
  const file = join(folder, `${how.replaceAll(" ", "-")}.test.ts`);
  await Bun.write(
    file,
    `import { expect, test } from "bun:test";
    import { existsSync } from "node:fs";
    import { afterThisProcess } from ${JSON.stringify(join(import.meta.dir, "after-this-process.ts"))};
    test("a child", () => {
      afterThisProcess('touch "$0"', [${JSON.stringify(done)}]);
      ${body}
    }, 100);
    test("not before", () => expect(existsSync(${JSON.stringify(done)})).toBe(false));`,
  );
  const child = Bun.spawn([process.execPath, "test", file], { cwd: folder, stdio: ["ignore", "ignore", "pipe"] });
  const said = await child.stderr.text();
  await child.exited;
  if (how !== "is killed") expect(said).toContain("(pass) not before");
  await eventually(() => existsSync(done));
});
