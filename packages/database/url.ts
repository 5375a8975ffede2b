import { readFileSync } from "node:fs";
import type { ConnectionOptions } from "node:tls";

// postgres://user:password@host:port,host:port/database?option=value, as libpq reads it; URL knows only one host.

const FORM = /^(postgres(?:ql)?:\/\/)(?:([^@/?#]*)@)?([^@/?#]+)(?:\/([^?#]*))?(\?[^#]*)?$/;
const HOST = /^(?:\[[\da-f:.]+\]|[^:\s]+)(?::\d{1,5})?$/i;

/** Throws a sentence that names `variable`; the URL may hold a password, so it does not repeat it. */
export function readDatabaseUrl(variable: string, url: string): string {
  const hosts = FORM.exec(url)?.[3]?.split(",") ?? [];
  if (hosts.length === 0 || !hosts.every((host) => HOST.test(host)))
    throw new Error(`${variable} is not of the form postgres://user:password@host:port/database`);
  try {
    withTls(url);
  } catch (error) {
    throw new Error(`${variable}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
  return url;
}

const FILES = { sslrootcert: "ca", sslcert: "cert", sslkey: "key" } as const;

/**
 * What a URL says about TLS in libpq's words, and the URL without them: the drivers understand some, and each its own. require is TLS with whomever; verify-ca is
 * with who has a certificate of sslrootcert (or of a public authority), verify-full also asks whether it is for this host. sslcert and sslkey are ours. Files are PEM.
 */
export function withTls(url: string): { url: string; ssl?: ConnectionOptions | false } {
  const [, query] = /\?([^#]*)/.exec(url) ?? [];
  if (!query) return { url };
  const options = new URLSearchParams(query);
  const mode = options.get("sslmode");
  const files: Partial<Record<"ca" | "cert" | "key", string>> = {};
  for (const [name, option] of Object.entries(FILES) as [keyof typeof FILES, "ca" | "cert" | "key"][]) {
    const path = options.get(name);
    if (path !== null) files[option] = readFileSync(path, "utf8");
    options.delete(name);
  }
  options.delete("sslmode");
  const left = options.toString();
  const plain = `${url.slice(0, url.indexOf("?"))}${left ? `?${left}` : ""}`;
  const ssl = tlsOf(mode ?? (files.ca ? "verify-full" : null), files);
  return { url: plain, ...(ssl !== undefined && { ssl }) };
}

function tlsOf(mode: string | null, files: ConnectionOptions): ConnectionOptions | false | undefined {
  switch (mode) {
    case null:
      return undefined;
    case "disable":
      return false;
    case "require":
      return { ...files, rejectUnauthorized: false };
    case "verify-ca":
      return { ...files, rejectUnauthorized: true, checkServerIdentity: () => undefined };
    case "verify-full":
      return { ...files, rejectUnauthorized: true };
    default:
      throw new Error(`sslmode must be disable, require, verify-ca or verify-full, found ${mode}`);
  }
}

/** Of several hosts one is the primary at any time. */
export function hostsOf(url: string): string[] {
  return FORM.exec(url)?.[3]?.split(",") ?? [];
}

/** The same server, another database and whose it is. */
export function databaseAt(url: string, database: string, user: string, password: string): string {
  return url.replace(FORM, (_, scheme, __, hosts, ___, options) => {
    const owner = `${encodeURIComponent(user)}:${encodeURIComponent(password)}`;
    return `${scheme}${owner}@${hosts}/${database}${options ?? ""}`;
  });
}
