import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isSecret, withSecretFiles } from "./secret-files.ts";

const folder = mkdtempSync(join(tmpdir(), "bodega-secret-files-"));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

test("a secret comes from the file that its variable names, without the line break at the end", () => {
  const env = {
    ADMIN_PASSWORD_FILE: file("password", " four patient horses \n"),
    ORDER_DATABASE_URL_FILE: file("order", "postgres://order:secret@db/order\r\n"),
    STRIPE_SECRET_KEY_FILE: file("stripe", "sk_test_1\n\n"),
    HOST: "0.0.0.0",
  };
  expect(withSecretFiles(env)).toEqual({
    ...env,
    ADMIN_PASSWORD: " four patient horses ",
    ORDER_DATABASE_URL: "postgres://order:secret@db/order",
    STRIPE_SECRET_KEY: "sk_test_1\n",
  });
});

test("a mark that an editor put at the beginning is no part of it", () => {
  expect(withSecretFiles({ ADMIN_PASSWORD_FILE: file("marked", "\ufefffour horses\n") })["ADMIN_PASSWORD"]).toBe(
    "four horses",
  );
});

test("an empty variable is an unset one, on either side", () => {
  const path = file("url", "redis://cache");
  expect(withSecretFiles({ REDIS_URL: "", REDIS_URL_FILE: path })["REDIS_URL"]).toBe("redis://cache");
  expect(withSecretFiles({ REDIS_URL: "redis://other", REDIS_URL_FILE: "" })["REDIS_URL"]).toBe("redis://other");
});

test("files of variables that hold no secret of ours are left alone", () => {
  const env = { SSL_CERT_FILE: "/nowhere", BASH_FILE: "/nowhere", _FILE: "/nowhere", HOST_FILE: "/nowhere" };
  expect(withSecretFiles(env)).toEqual(env);
});

test.each([
  ["both are set", { SMTP_URL: "smtp://hidden" }, "SMTP_URL and SMTP_URL_FILE are both set: set one of them"],
  ["it is missing", { SMTP_URL_FILE: join(folder, "none") }, "SMTP_URL_FILE must name a file that can be read, found"],
  ["it is a folder", { SMTP_URL_FILE: folder }, "SMTP_URL_FILE must name a file that can be read, found"],
  [
    "it is of bytes that are no text",
    { SMTP_URL_FILE: file("bytes", Buffer.from("hidden\xff\xfe", "latin1")) },
    "SMTP_URL_FILE must name a file of text in UTF-8",
  ],
  [
    "it has a zero in it",
    { SMTP_URL_FILE: file("zero", "hidden\0") },
    "SMTP_URL_FILE must name a file of text in UTF-8",
  ],
  ["it is empty", { SMTP_URL_FILE: file("empty", "\n") }, "SMTP_URL_FILE must name a file with a value in it, found"],
])("when %s a sentence names the variable and not the value", (_, given, sentence) => {
  const env = { SMTP_URL_FILE: file("smtp", "smtp://hidden"), ...given };
  expect(() => withSecretFiles(env)).toThrow(sentence);
  expect(() => withSecretFiles(env)).not.toThrow("hidden");
});

test("what is secret is known by its name", () => {
  expect(
    [
      "AUTH_SECRET",
      "ADMIN_PASSWORD",
      "STRIPE_SECRET_KEY",
      "DATABASE_URL",
      "X_DATABASE_URL",
      "OTEL_EXPORTER_OTLP_HEADERS",
    ].every(isSecret),
  ).toBe(true);
  expect(["PUBLIC_URL", "ORDER_URL", "KEYBOARD", "DATA_DIR"].some(isSecret)).toBe(false);
});
