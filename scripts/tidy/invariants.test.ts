// tests/README.md names a test for everything that must hold: the names are those of tests that are there.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { ROOT } from "../tree.ts";

interface Claim {
  file: string;
  /** A part of the test's name. */
  name: string;
}

function claimsIn(page: string): Claim[] {
  // One file may be followed by several names.
  return Array.from(page.matchAll(/`([^`]+\.tsx?)`: ((?:"[^"]+"(?:, )?)+)/g)).flatMap(([, file = "", names = ""]) =>
    Array.from(names.matchAll(/"([^"]+)"/g), ([, name = ""]) => ({ file, name })),
  );
}

async function missing(page: string): Promise<Claim[]> {
  const claims = claimsIn(page);
  const texts = await Promise.all(claims.map(({ file }) => Bun.file(join(ROOT, file)).text()));
  return claims.filter(({ name }, at) => !texts[at]?.includes(name));
}

const page = await Bun.file(join(ROOT, "tests/README.md")).text();

test("all that must hold is there, each once, with a test", () => {
  const rows = Array.from(page.matchAll(/^\| (I\d+) +\|(.*)$/gm));
  expect(rows.map(([, number]) => number)).toEqual(Array.from({ length: 24 }, (_, at) => `I${at + 1}`));
  for (const [, number, row = ""] of rows) expect([number, claimsIn(row).length > 0]).toEqual([number, true]);
});

test("the tests that are named are there", async () => {
  expect(claimsIn(page).length).toBeGreaterThan(24);
  expect(await missing(page)).toEqual([]);
});

test("a name that no test has is found, also behind one that a test has", async () => {
  const file = "tests/stories/redelivery.test.ts";
  const invented = `| \`${file}\`: "blocks nobody", "and pays the rent" |`;
  expect(await missing(invented)).toEqual([{ file, name: "and pays the rent" }]);
});
