// Generated pages that fell behind must be noticed, and so must what the generator cannot see.
import { expect, test } from "bun:test";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { docsAreCurrent } from "../docs.ts";
import { ROOT } from "../tree.ts";
import { differences, namesIn, unfiled } from "./configuration-page.ts";

test("a page that says something else than the code is named, and so is one that is gone", async () => {
  const copy = mkdtempSync(join(tmpdir(), "bodega-docs-"));
  try {
    cpSync(join(ROOT, "docs"), join(copy, "docs"), { recursive: true });
    writeFileSync(join(copy, "docs", "reference.md"), "# Reference\n");
    rmSync(join(copy, "docs", "configuration.md"));
    const { code, output } = await docsAreCurrent(copy);
    expect(code).toBe(1);
    expect(output).toStartWith("docs/configuration.md and docs/reference.md: not what the code says");
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
});

test("a variable that nobody explains is found, and so is one that nobody reads", () => {
  const read = namesIn(
    'const a = env["NEW_ONE"] ?? env["PORT"]; readPort(env, "OPS_PORT", 9091); env["PORT"]; note("NOT_READ");',
  );
  expect(read).toEqual(["NEW_ONE", "PORT", "OPS_PORT"]);
  expect(differences(["PORT", "OPS_PORT", "OLD_ONE"], read)).toEqual([
    "NEW_ONE is read, but scripts/docs/configuration.ts does not explain it",
    "OLD_ONE is explained in scripts/docs/configuration.ts, but nothing reads it",
  ]);
});

test("a variable that may hold a secret but cannot be given as a file is found", () => {
  expect(unfiled(["PORT", "PUBLIC_URL", "SMTP_URL", "AUTH_SECRET", "<SERVICE>_DATABASE_URL"])).toEqual([]);
  const found = unfiled(["AUTH_SECRETS", "BANK_TOKEN", "KEY_OF_ALL", "SEARCH_URL"]);
  expect(found.map((sentence) => sentence.split(" ")[0])).toEqual([
    "AUTH_SECRETS",
    "BANK_TOKEN",
    "KEY_OF_ALL",
    "SEARCH_URL",
  ]);
});
