import { chmodSync, chownSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Database, openDatabase } from "../../packages/database/database.ts";
import type { Authority } from "./certificates.ts";
import { eventually } from "./eventually.ts";

/** From now on a server of this machine, `url` is its superuser's, takes TLS for localhost too. Who talks in the clear is still heard. */
export async function speakTls(url: string, authority: Authority): Promise<void> {
  const { cert, key } = authority.certify("DNS:localhost");
  const admin = openDatabase(url, "admin");
  const [row] = await admin.sql<{ data_directory: string }[]>`show data_directory`;
  const folder = row?.data_directory ?? "";
  const { uid, gid } = statSync(folder);
  for (const [name, content] of Object.entries({ "tls.crt": cert, "tls.key": key, "tls.ca": authority.ca })) {
    writeFileSync(join(folder, name), content);
    chownSync(join(folder, name), uid, gid);
    chmodSync(join(folder, name), 0o600);
  }
  for (const setting of ["ssl_cert_file = 'tls.crt'", "ssl_key_file = 'tls.key'", "ssl_ca_file = 'tls.ca'", "ssl = on"])
    await admin.sql.unsafe(`alter system set ${setting}`);
  await admin.sql`select pg_reload_conf()`;
  await admin.close();
  await eventually(async () => {
    const over = openDatabase(`${url}?sslmode=require`, "admin");
    try {
      const [found] = await over.sql<{ ssl: boolean }[]>`select ssl from pg_stat_ssl where pid = pg_backend_pid()`;
      return found?.ssl === true;
    } catch {
      return false; // It has not read its configuration yet.
    } finally {
      await over.close();
    }
  });
}

/** Where it is for a client that talks to a server of this authority alone. */
export function overTls(url: string, { caPath }: Authority): string {
  return `${url.replace("127.0.0.1", "localhost")}?sslmode=verify-full&sslrootcert=${caPath}`;
}

/** How Bodega's connections speak to it: of each sort, in the clear or over TLS. */
export async function speakers({ sql }: Pick<Database, "sql">): Promise<{ backend_type: string; ssl: boolean }[]> {
  const rows = await sql<{ backend_type: string; ssl: boolean }[]>`
    select distinct backend_type, ssl from pg_stat_activity join pg_stat_ssl using (pid)
    where usename like 'bodega%' order by backend_type`;
  return [...rows];
}
