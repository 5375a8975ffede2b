import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { declarations, loadServices, SERVICE_NAMES } from "./all.ts";
import { keptSecrets } from "./data-folder.ts";

test("what is made at the first start is good enough for who wants it made, and is the same at the next", async () => {
  const folder = mkdtempSync(join(tmpdir(), "bodega-data-"));
  try {
    const wanted = (await declarations()).flatMap(({ made = [] }) => made);
    expect(wanted).toContain("EVENTLOG_SECRET");
    const { made, fresh } = keptSecrets(join(folder, "secrets.json"), wanted);
    expect(fresh).toEqual(wanted);
    expect(await loadServices(SERVICE_NAMES, made)).toHaveLength(SERVICE_NAMES.length);
    expect(keptSecrets(join(folder, "secrets.json"), wanted)).toMatchObject({ made, fresh: [] });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
