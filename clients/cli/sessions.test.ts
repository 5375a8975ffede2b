import { afterAll, expect, test } from "bun:test";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { LoginResponseSchema } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { openSessions } from "./sessions.ts";

const root = mkdtempSync(join(tmpdir(), "bodega-sessions-"));
afterAll(() => rmSync(root, { recursive: true }));

const URL = "http://shop.test";
const EMAIL = "Ada@example.test";
const claims = Buffer.from(JSON.stringify({ iat: 0, exp: 600 })).toString("base64url");
const login = (refreshToken: string) =>
  create(LoginResponseSchema, { accessToken: `head.${claims}.sign`, refreshToken });

function home(name: string) {
  const folder = join(root, name);
  const sessions = join(folder, "bodega", "sessions", encodeURIComponent(URL));
  return {
    sessions,
    file: join(sessions, "ada%40example.test.json"),
    open: () => openSessions({ XDG_CONFIG_HOME: folder }, URL),
  };
}

const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8);

test("a session is its owner's alone, whatever the umask says", async () => {
  const before = process.umask(0);
  const { sessions, file, open } = home("umask");
  await open().keep(EMAIL, login("secret"));
  process.umask(before);
  expect([modeOf(sessions), modeOf(file)]).toEqual(["700", "600"]);
});

test("a link or a file of others in its place is replaced, and nothing is written through it", async () => {
  const { sessions, file, open } = home("links");
  mkdirSync(sessions, { recursive: true });
  const elsewhere = join(root, "elsewhere");
  writeFileSync(elsewhere, "as it was");
  symlinkSync(elsewhere, file);
  for (const name of [`${file}.${process.pid}`, join(sessions, `current.${process.pid}`)]) symlinkSync(elsewhere, name);
  await open().keep(EMAIL, login("secret"));
  expect([readFileSync(elsewhere, "utf8"), lstatSync(file).isFile(), modeOf(file)]).toEqual(["as it was", true, "600"]);
  writeFileSync(`${file}.${process.pid}.old`, "");
  chmodSync(file, 0o666);
  await open().keep(EMAIL, login("another secret"));
  expect(modeOf(file)).toBe("600");
});

test("many at once leave one that is whole, and no drafts", async () => {
  const { sessions, file, open } = home("race");
  await Promise.all(Array.from({ length: 30 }, (_, index) => open().keep(EMAIL, login(`secret ${index}`.repeat(500)))));
  const { refreshToken } = JSON.parse(readFileSync(file, "utf8"));
  expect(refreshToken).toMatch(/^(secret \d+)\1*$/);
  expect(readdirSync(sessions).toSorted()).toEqual(["ada%40example.test.json", "current"]);
});

test("an address is no way out of the folder", async () => {
  const { sessions, open } = home("way-out");
  for (const email of ["../../x", "/etc/x", "..", "a\0b"]) await open().keep(email, login("secret"));
  expect(readdirSync(dirname(dirname(dirname(sessions))))).toEqual(["bodega"]);
  expect(readdirSync(sessions)).toHaveLength(5);
});
