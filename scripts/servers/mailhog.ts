// MailHog: takes mail by SMTP and shows it on a page and by an API. Built from its Go module.
import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder, must } from "../command.ts";
import { ask } from "./ask.ts";
import { find } from "./find.ts";
import { portsOf } from "./ports.ts";
import type { Kind, Need } from "./server.ts";

export const MAILHOG = join(cacheFolder(), "mailhog-1.0.1", "MailHog");

/** Debian's is too old for what MailHog's dependencies have become. */
const GO: Need = {
  name: "Go 1.26 (go.dev/dl)",
  found: () => find("go") !== undefined || existsSync(MAILHOG),
  brew: "go",
};

export const mailhog: Kind = {
  count: () => 1,
  ports: ({ number, basePort }) => portsOf("mailhog", number, basePort),
  needs: [GO, { name: "MailHog 1.0.1", found: () => existsSync(MAILHOG), build }],
  command({ number, basePort }) {
    const { smtp, web } = portsOf("mailhog", number, basePort);
    const page = `127.0.0.1:${web}`;
    const addresses = ["-smtp-bind-addr", `127.0.0.1:${smtp}`, "-api-bind-addr", page, "-ui-bind-addr", page];
    return { argv: [MAILHOG, ...addresses, "-storage", "maildir", "-maildir-path", "mails"] };
  },
  async ready({ number, basePort }) {
    const { smtp, web } = portsOf("mailhog", number, basePort);
    const greeting = await ask(smtp, "", (answer) => answer.includes("\r\n"));
    const page = await ask(web, "GET /api/v2/messages HTTP/1.0\r\n\r\n", (answer) => answer.includes("\r\n"));
    return (greeting?.toString().startsWith("220") && page?.toString().includes(" 200 ")) ?? false;
  },
  env: ([server]) => (server ? { SMTP_URL: `smtp://127.0.0.1:${portsOf("mailhog", 1, server.basePort).smtp}` } : {}),
};

/** In a module of our own that pins what MailHog's, older than Go modules, leaves open. */
async function build(): Promise<void> {
  const folder = join(cacheFolder(), "mailhog-1.0.1");
  const work = `${folder}.${process.pid}`;
  mkdirSync(work, { recursive: true });
  try {
    for (const file of ["go.mod", "go.sum"]) copyFileSync(join(import.meta.dir, "mailhog", file), join(work, file));
    const flags = ["-trimpath", "-ldflags=-s -w", "-o", "MailHog"];
    await must([find("go") ?? "go", "build", "-mod=mod", ...flags, "github.com/mailhog/MailHog"], { cwd: work });
    rmSync(folder, { recursive: true, force: true });
    renameSync(work, folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
