// What is told of the packages is what bun.lock says, and each that runs something at its install has its reason.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { verdictOf } from "./advisories.ts";
import { sbomOf } from "./sbom.ts";
import { ROOT } from "./tree.ts";

const textOf = (path: string) => readFileSync(join(ROOT, path), "utf8");
const own = { name: "bodega", version: "0" };

test("every package of bun.lock is in the document once, by its own digest", () => {
  const lock = `{ "packages": {
    "hono": ["hono@4.13.19", "", {}, "sha512-AAEC"],
    "a/hono": ["hono@4.13.19", "", {}, "sha512-AAEC"], // once more, below another
    "@bufbuild/buf": ["@bufbuild/buf@1.75.0", "", { "bin": {} }, "sha512-//8="],
  } }`;
  expect(sbomOf(lock, own).components).toMatchObject([
    { name: "@bufbuild/buf", purl: "pkg:npm/%40bufbuild/buf@1.75.0", hashes: [{ alg: "SHA-512", content: "ffff" }] },
    { name: "hono", version: "4.13.19", hashes: [{ content: "000102" }] },
  ]);
});

test("of this version it names what package.json wants, in the version that it wants, and all with a digest", () => {
  const { components } = sbomOf(textOf("bun.lock"), own);
  const names = new Set(components.map((each) => each["bom-ref"]));
  const { dependencies } = JSON.parse(textOf("package.json"));
  for (const [name, version] of Object.entries(dependencies)) expect(names).toContain(`${name}@${version}`);
  expect(components.filter(({ hashes }) => !hashes)).toEqual([]);
});

test("each package whose install script runs has its reason in docs/security.md", () => {
  const { trustedDependencies } = JSON.parse(textOf("package.json"));
  const table = textOf("docs/security.md").split("`trustedDependencies`")[1] ?? "";
  const silent = trustedDependencies.filter(
    (name: string) => !table.includes(`| \`${name}\``) && !table.includes(`| \`${name.split("/")[0]}/*\``),
  );
  expect(silent).toEqual([]);
});

test("known faults are a failure; that nobody could be asked is said, and is none", () => {
  expect(verdictOf({ code: 0, output: "No vulnerabilities found" }).code).toBe(0);
  expect(verdictOf({ code: 1, output: "hono  <4.13\n3 vulnerabilities (1 high, 2 low)" }).code).toBe(1);
  expect(verdictOf({ code: 1, output: "error: POST https://registry.example - 405" })).toEqual({
    code: 0,
    says: "NOT ASKED: the registry's advisories could not be had (error: POST https://registry.example - 405)",
  });
});
