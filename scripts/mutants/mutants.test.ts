// The runner of planted bugs must itself tell a bug that was noticed from one that was not, and from one that was never planted.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MUTANTS } from "../mutants.ts";
import { ROOT } from "../tree.ts";
import type { Mutant } from "./mutant.ts";
import { verdictOn } from "./plant.ts";

const folder = mkdtempSync(join(tmpdir(), "bodega-planted-"));
const code = join(folder, "add.ts");
const ADD = "export const add = (a: number, b: number) => a + b;\n";

beforeAll(async () => {
  await Bun.write(code, ADD);
  const test = `import { expect, test } from "bun:test";\nimport { add } from "./add.ts";\n`;
  await Bun.write(join(folder, "sharp.test.ts"), `${test}test("adds", () => expect(add(1, 2)).toBe(3));`);
  await Bun.write(join(folder, "blunt.test.ts"), `${test}test("adds nothing", () => expect(add(0, 0)).toBe(0));`);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const planted = (change: Partial<Mutant>) =>
  verdictOn(
    { name: "m", file: "add.ts", find: "a + b", replace: "a - b", tests: ["sharp.test.ts"], ...change },
    folder,
    {},
  );

test("a bug that a test notices is caught, by the first test that does", async () => {
  expect(await planted({ tests: ["blunt.test.ts", "sharp.test.ts"] })).toEqual({ word: "caught", because: "adds" });
});

test("a bug that no test notices survives", async () => {
  expect(await planted({ tests: ["blunt.test.ts"] })).toEqual({
    word: "SURVIVED",
    because: "not noticed by blunt.test.ts",
  });
});

test("a bug that cannot be planted, does not run, or has no tests proves nothing", async () => {
  expect((await planted({ find: "a * b" })).because).toContain("found it 0 times");
  expect((await planted({ find: "number" })).because).toContain("found it 2 times");
  expect((await planted({ file: "gone.ts" })).word).toBe("BROKEN");
  expect((await planted({ replace: "a ? b" })).word).toBe("BROKEN");
  expect((await planted({ tests: ["gone.test.ts"] })).word).toBe("BROKEN");
});

test("the code is afterwards what it was", async () => {
  await planted({});
  expect(await Bun.file(code).text()).toBe(ADD);
});

test("there are forty and more, and each can be planted in the code as it is, with a name of its own and tests", async () => {
  expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length);
  const tests = new Set(MUTANTS.flatMap((mutant) => mutant.tests.map((test) => test.split("::")[0] ?? "")));
  for (const file of tests) expect([file, await Bun.file(join(ROOT, file)).exists()]).toEqual([file, true]);
  const texts = await Promise.all(MUTANTS.map(({ file }) => Bun.file(join(ROOT, file)).text()));
  const lost = MUTANTS.filter(({ find }, at) => texts[at]?.split(find).length !== 2);
  expect(lost.map(({ name }) => name)).toEqual([]);
  expect(MUTANTS.length).toBeGreaterThanOrEqual(40);
});
