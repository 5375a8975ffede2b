// An authority of a test's own, and certificates from it, by openssl.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Certificate {
  /** Paths of PEM files. */
  certPath: string;
  keyPath: string;
  cert: string;
  key: string;
}

export interface Authority {
  caPath: string;
  ca: string;
  /** A certificate for such names, such as DNS:localhost or IP:127.0.0.1. */
  certify(...names: string[]): Certificate;
  /** The same, good for so many days. */
  certifyFor(days: number, ...names: string[]): Certificate;
  /** The same, over since yesterday. */
  certifyFormer(...names: string[]): Certificate;
  close(): void;
}

export function createAuthority(): Authority {
  const folder = mkdtempSync(join(tmpdir(), "bodega-authority-"));
  let made = 0;
  const self = pair(folder, "ca", ["-x509", "-days", "2", "-subj", "/CN=an authority of the tests"]);
  function certify(days: number, names: string[]) {
    const from = ["-CA", self.certPath, "-CAkey", self.keyPath, "-addext", `subjectAltName=${names.join()}`];
    return pair(folder, `made-${made++}`, ["-x509", "-days", String(days), "-subj", "/CN=a server", ...from]);
  }
  return {
    caPath: self.certPath,
    ca: self.cert,
    certify: (...names) => certify(2, names),
    certifyFor: (days, ...names) => certify(days, names),
    certifyFormer(...names) {
      const asked = pair(folder, `made-${made++}`, [
        "-subj",
        "/CN=a server",
        "-addext",
        `subjectAltName=${names.join()}`,
      ]);
      const from = ["-CA", self.certPath, "-CAkey", self.keyPath, "-copy_extensions", "copy", "-days", "-1"];
      const certPath = `${asked.certPath}.former`;
      openssl("x509", "-req", "-in", asked.certPath, "-out", certPath, ...from);
      return { ...asked, certPath, cert: readFileSync(certPath, "utf8") };
    },
    close: () => rmSync(folder, { recursive: true }),
  };
}

function pair(folder: string, name: string, options: string[]): Certificate {
  const [certPath, keyPath] = [join(folder, `${name}.crt`), join(folder, `${name}.key`)];
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", keyPath];
  openssl("req", "-new", ...key, "-out", certPath, ...options);
  return { certPath, keyPath, cert: readFileSync(certPath, "utf8"), key: readFileSync(keyPath, "utf8") };
}

function openssl(...words: string[]) {
  const { exitCode, stderr } = Bun.spawnSync(["openssl", ...words]);
  if (exitCode !== 0) throw new Error(`openssl ended with ${exitCode} and said: ${stderr.toString()}`);
}
