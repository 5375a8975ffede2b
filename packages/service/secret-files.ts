import { readFileSync } from "node:fs";
import type { Environment } from "./variables.ts";

/** A variable is secret by the end of its name; of the URLs these carry passwords. PUBLIC_KEYS and certificates are not, but are files where secrets are. */
const SECRET =
  /(?:^|_)(?:SECRET|PASSWORD|KEY|PUBLIC_KEYS|TLS_CA|TLS_CERT|DATABASE_URL|DATABASE_REPLICA_URLS|RABBITMQ_URL|REDIS_URL|SMTP_URL|OTLP_HEADERS)$/;

export function isSecret(variable: string): boolean {
  return SECRET.test(variable);
}

/**
 * The environment, completed by what is in files: ADMIN_PASSWORD_FILE names one with the value of ADMIN_PASSWORD, as container secrets come. The line break at
 * its end is not part of the value. Throws a sentence that names the variable and the path, never what is in the file.
 */
export function withSecretFiles(env: Environment): Environment {
  const read = Object.entries(env).flatMap(([file, path]) => {
    const name = file.replace(/_FILE$/, "");
    if (!path || name === file || !isSecret(name)) return [];
    if (env[name]) throw new Error(`${name} and ${file} are both set: set one of them`);
    return [[name, contentOf(file, path)] as const];
  });
  return { ...env, ...Object.fromEntries(read) };
}

function contentOf(variable: string, path: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    const { code = String(error) } = error as NodeJS.ErrnoException; // What the file system throws.
    throw new Error(`${variable} must name a file that can be read, found ${path}: ${code}`, { cause: error });
  }
  const value = textOf(variable, path, bytes).replace(/\r?\n$/, "");
  if (!value) throw new Error(`${variable} must name a file with a value in it, found ${path}, which is empty`);
  return value;
}

/** Bytes of chance that are no text would all be read as the same mark: another secret than was made, and one of little chance. */
function textOf(variable: string, path: string, bytes: Buffer): string {
  const why = `${variable} must name a file of text in UTF-8, found other bytes in ${path}: write random ones in base64`;
  if (bytes.includes(0)) throw new Error(why);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new Error(why, { cause });
  }
}
