import { createPrivateKey, X509Certificate } from "node:crypto";
import type { SecureContextOptions } from "node:tls";
import { type Environment, readSwitch } from "./variables.ts";

/** Between two processes of the platform: who we are, and the authority that whoever calls or is called must be certified by. */
export interface InnerTls {
  ca: string;
  cert: string;
  key: string;
}

/** Undefined where they talk in the clear. A certificate that is over opens nothing, and whoever is called by it could only be told that it is silent. */
export function readInnerTls(env: Environment, now: Date): InnerTls | undefined {
  if (!readSwitch(env, "INNER_TLS", false)) return undefined;
  const [ca, cert, key] = [env["TLS_CA"], env["TLS_CERT"], env["TLS_KEY"]];
  if (!ca || !cert || !key)
    throw new Error("INNER_TLS=on needs TLS_CA, TLS_CERT and TLS_KEY: both sides of a call show a certificate");
  const { validToDate: ends } = asPem("TLS_CERT", "a certificate", () => new X509Certificate(cert));
  if (ends < now)
    throw new Error(`TLS_CERT is over since ${ends.toISOString()}: with INNER_TLS=on nobody takes it any more`);
  return { ca, cert, key };
}

/** Whom we trust and who we are where a connection is over TLS: empty for the public authorities, and nobody in particular. */
export function readTls(env: Environment): SecureContextOptions {
  const [ca, cert, key] = [env["TLS_CA"], env["TLS_CERT"], env["TLS_KEY"]].map((text) => text || undefined);
  if (ca) asPem("TLS_CA", "certificates", () => new X509Certificate(ca));
  if (Boolean(cert) !== Boolean(key)) throw new Error("TLS_CERT and TLS_KEY: set both or neither");
  if (!cert || !key) return { ...(ca && { ca }) };
  const certificate = asPem("TLS_CERT", "a certificate", () => new X509Certificate(cert));
  const privateKey = asPem("TLS_KEY", "a private key", () => createPrivateKey(key));
  if (!certificate.checkPrivateKey(privateKey)) throw new Error("TLS_KEY is not the key of TLS_CERT");
  return { ...(ca && { ca }), cert, key };
}

/** The complaint does not show it. */
function asPem<T>(name: string, what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new Error(`${name} must be ${what} in PEM, which begins with -----BEGIN`, { cause: error });
  }
}
