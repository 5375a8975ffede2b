import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { must, run } from "../../scripts/command.ts";
import { codeFor } from "../../scripts/copy/mails.ts";
import { freePorts } from "../../scripts/copy/ports.ts";
import { type Copy, startCopy } from "../../scripts/copy/start.ts";
import { paths, ROOT } from "../../scripts/tree.ts";
import { SERVICE_NAMES } from "../../services/all.ts";
import { eventually } from "../kit/eventually.ts";
import { NEW_FILES, NEW_LINES } from "./loyalty.ts";

// The recipe of CONTRIBUTING.md, followed in a copy of the tree: nothing else is touched, and a whole new service works.

setDefaultTimeout(300_000);
let folder: string;
let tree: string;
let copy: Copy | undefined;
let base: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "bodega-recipe-"));
  tree = join(folder, "tree");
  for (const path of paths()) cpSync(join(ROOT, path), join(tree, path));
  symlinkSync(join(ROOT, "node_modules"), join(tree, "node_modules"));
  await must(["git", "init", "-q"], { cwd: tree });
  for (const [path, text] of Object.entries(NEW_FILES)) {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    writeFileSync(join(tree, path), text);
  }
  for (const { path, before, lines } of NEW_LINES) {
    const text = readFileSync(join(tree, path), "utf8");
    expect(text.split(before)).toHaveLength(2);
    writeFileSync(
      join(tree, path),
      text.replace(before, () => lines + before),
    );
  }
  for (const script of ["generate.ts", "docs.ts"]) await must(["bun", join("scripts", script)], { cwd: tree });
});

afterAll(async () => {
  await copy?.end();
  rmSync(folder, { recursive: true, force: true });
});

test("the recipe names the files that are changed", () => {
  const recipe = readFileSync(join(ROOT, "CONTRIBUTING.md"), "utf8");
  for (const { path } of NEW_LINES) expect(recipe).toContain(path);
});

test("what the recipe makes passes every check of the house, and is in its documents", async () => {
  expect(await run(["bun", "scripts/check.ts"], { cwd: tree })).toMatchObject({ code: 0 });
  const reference = readFileSync(join(tree, "docs/reference.md"), "utf8");
  expect(reference).toContain("### LoyaltyService");
  expect(reference).toContain("`loyalty.thank-user`");
});

test("what the recipe makes is found whole by the tests that ask every service", async () => {
  const asking = ["services/all.test.ts", "services/retention.test.ts", "scripts/stack/stack.test.ts"];
  expect(await run(["bun", "test", ...asking], { cwd: tree })).toMatchObject({ code: 0 });
});

test("the new service runs with the others: its facts are heard, its job is done, its RPC and its page are at the edge", async () => {
  const ports = await freePorts();
  base = `http://127.0.0.1:${ports["PORT"]}`;
  copy = startCopy({
    env: { ...ports, DATA_DIR: join(folder, "data"), DEMO: "off", KITCHEN_STAFF: "off" },
    logFile: join(folder, "log"),
    root: tree,
  });
  await copy.open();

  const { services } = await readJson<{ services: Record<string, string> }>("/readyz");
  expect(Object.keys(services).sort()).toEqual([...SERVICE_NAMES, "loyalty"].sort());

  const email = "ann@bodega.test";
  const asked = { email, password: "correct horse battery", displayName: "Ann" };
  const { userId } = (await callAuth("Register", asked)) as { userId: string }; // RegisterResponse has it.
  await callAuth("VerifyEmail", { email, code: await codeFor(`http://127.0.0.1:${ports["MAIL_PORT"]}`, email) });
  await eventually(async () => (await readJson<{ thanked?: boolean }>(`/v1/standings/${userId}`)).thanked === true);

  const page = await fetch(`${base}/loyalty/user.registered`);
  expect([page.status, await page.text()]).toEqual([200, "user.registered was heard 2 times"]);
  expect((await fetch(`${base}/v1/standings/nobody`)).status).toBe(400);
});

async function callAuth(rpc: string, asked: object): Promise<unknown> {
  const answer = await fetch(`${base}/bodega.auth.v1.AuthService/${rpc}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(asked),
  });
  expect([rpc, answer.status]).toEqual([rpc, 200]);
  return answer.json();
}

async function readJson<T>(path: string): Promise<T> {
  // Each caller names the shape that the page promises.
  return (await (await fetch(`${base}${path}`)).json()) as T;
}
