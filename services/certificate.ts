import { connect } from "node:tls";
import { counted, type Inspection } from "../packages/telemetry/inspection.ts";
import { within } from "../packages/time/wait.ts";

const ANSWER_MS_MAX = 1_000;
const DAY_MS = 86_400_000;
/** Whoever renews by himself does it a month before. */
const DAYS_MIN = 14;

/** The certificate that callers are shown at host:port, where TLS ends before us. Whether they would trust it is not asked. */
export async function inspectCertificate(at: string, now: Date): Promise<Inspection> {
  const ends = await within(ANSWER_MS_MAX, `no certificate from ${at}`, (deadline) => endOf(at, deadline));
  const days = Math.floor((ends.getTime() - now.getTime()) / DAY_MS);
  const left = days < 0 ? "has run out" : `is good for ${counted(days, "day")}`;
  const fix =
    "renew it: in a stack put the new chain and key into a secret, and update haproxy to it (docs/operations.md)";
  return {
    found: `shown at ${at}, until ${ends.toISOString().slice(0, 10)}`,
    figures: { at, days, ends: ends.toISOString() },
    troubles: days < DAYS_MIN ? [{ says: `the certificate at ${at} ${left}`, fix }] : [],
  };
}

function endOf(at: string, deadline: AbortSignal): Promise<Date> {
  const { hostname, port } = new URL(`https://${at}`);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port || 443), rejectUnauthorized: false });
    const end = () => socket.destroy();
    deadline.addEventListener("abort", end, { once: true });
    socket.once("error", reject);
    socket.once("secureConnect", () => {
      const { valid_to: until } = socket.getPeerCertificate();
      const ends = new Date(until);
      end();
      if (Number.isNaN(ends.getTime())) reject(new Error(`expected a certificate from ${at}, found none`));
      else resolve(ends);
    });
  });
}
