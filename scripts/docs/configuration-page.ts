// docs/configuration.md, and what keeps it true.
import { isSecret } from "../../packages/service/secret-files.ts";
import { isProduct } from "../tidy/source.ts";
import { ownFiles } from "../tree.ts";
import { GROUPS, LISTENERS } from "./configuration.ts";

export async function configurationPage(): Promise<string> {
  const names = Object.values(GROUPS).flatMap((group) => group.map(({ name }) => name));
  // A name that is put together from a service's is not in the code as it is here.
  const told = names.filter((name) => !name.startsWith("<"));
  const missing = [...differences(told, await readInCode()), ...unfiled(names)];
  if (missing.length > 0) throw new Error(missing.join("\n"));
  const tables = Object.entries(GROUPS).map(
    ([title, group]) =>
      `## ${title}\n\n| variable | unset | meaning |\n| --- | --- | --- |\n${group.map(({ name, unset, meaning }) => `| ${spellings(name)} | ${unset} | ${meaning} |`).join("\n")}\n`,
  );
  return `# Configuration

All of it is environment variables, read at the start and nowhere below. An empty one is an unset one. A value that
makes no sense stops the start with a sentence that names the variable.

A secret may be in a file instead, as Docker and others hand secrets out: \`ADMIN_PASSWORD_FILE=/run/secrets/admin_password\`. One line break
at its end is not part of the value. Both set, or a file that is missing, empty or not to be read, stops the start.

## What listens where, for whom

${LISTENERS}
Beyond this machine means that \`HOST\` or \`PUBLIC_URL\` names more than loopback. What would be unsafe there does not start, with a sentence that says
which variable to set.

${tables.join("\n")}`;
}

function spellings(name: string): string {
  return isSecret(name) ? `\`${name}\`, \`${name}_FILE\`` : `\`${name}\``;
}

/** URLs that hold no password, and are refused when they do. */
const ADDRESSES = ["PUBLIC_URL", "CANARY_URL", "<SERVICE>_URL", "PASSKEY_ORIGINS", "PASSKEY_RP_ID"];

/** What holds a secret by its name but cannot be given as a file. */
export function unfiled(names: string[]): string[] {
  return names
    .filter(
      (name) => /SECRET|PASS|KEY|TOKEN|CREDENTIAL|_URLS?$/.test(name) && !isSecret(name) && !ADDRESSES.includes(name),
    )
    .map((name) => `${name} may hold a secret: name it so that packages/service/secret-files.ts knows it`);
}

export function differences(told: string[], read: string[]): string[] {
  return [
    ...read
      .filter((name) => !told.includes(name))
      .map((name) => `${name} is read, but scripts/docs/configuration.ts does not explain it`),
    ...told
      .filter((name) => !read.includes(name))
      .map((name) => `${name} is explained in scripts/docs/configuration.ts, but nothing reads it`),
  ];
}

/** Names as the code reads them from `env`; what it refuses in a list of names is not read. */
async function readInCode(): Promise<string[]> {
  const files = (await ownFiles()).filter(
    ({ path }) => isProduct(path) && /(config|main|settings|start|tls|-url|-brokers)\.ts$/.test(path),
  );
  return namesIn(files.map(({ text }) => text).join("\n"));
}

export function namesIn(code: string): string[] {
  const found = Array.from(
    code.matchAll(/\benv\["([A-Z_]+)"\]|\(env, "([A-Z_]+)"/g),
    ([, direct, passed]) => direct ?? passed ?? "",
  );
  return [...new Set(found)];
}
