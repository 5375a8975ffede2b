// postgres://user:password@host:port,host:port/database?option=value, as libpq reads it; URL knows only one host.

const FORM = /^(postgres(?:ql)?:\/\/)(?:([^@/?#]*)@)?([^@/?#]+)(?:\/([^?#]*))?(\?[^#]*)?$/;
const HOST = /^(?:\[[\da-f:.]+\]|[^:\s]+)(?::\d{1,5})?$/i;

/** Throws a sentence that names `variable`; the URL may hold a password, so it does not repeat it. */
export function readDatabaseUrl(variable: string, url: string): string {
  const hosts = FORM.exec(url)?.[3]?.split(",") ?? [];
  if (hosts.length === 0 || !hosts.every((host) => HOST.test(host)))
    throw new Error(`${variable} is not of the form postgres://user:password@host:port/database`);
  return url;
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
