import { createPrivateKey, createPublicKey, sign, verify } from "node:crypto";
import type { Clock } from "../../time/clock.ts";
import type { JWK, SigningKey } from "./tokens.ts";

/** Where a client is, as the edge saw it: what services count strangers by. Between processes it travels signed, in one header. */
export interface EdgeOrigin {
  address: string;
  network: string;
}

export const ORIGIN_HEADER = "x-bodega-origin";
const PURPOSE = "bodega client origin\n";
const LIFE_MS = 5 * 60_000;
const REUSED_MS = 60_000;
const KEPT_MAX = 10_000;
const FORM = /^([\w-]{1,400})\.([\w-]{86})$/;

/** The edge's side. One signature serves an address for a minute. */
export function createOriginSeal(key: SigningKey, clock: Clock): (origin: EdgeOrigin) => string {
  const privateKey = createPrivateKey({ key: key.privateJwk, format: "jwk" } as Parameters<typeof createPrivateKey>[0]);
  const kept = new Map<string, { seal: string; madeAt: number }>();
  return ({ address, network }) => {
    const name = `${address} ${network}`;
    const now = clock.now().getTime();
    const known = kept.get(name);
    if (known && now - known.madeAt < REUSED_MS) return known.seal;
    const said = Buffer.from(JSON.stringify([address, network, now + LIFE_MS])).toString("base64url");
    const seal = `${said}.${sign(null, Buffer.from(PURPOSE + said), privateKey).toString("base64url")}`;
    keep(kept, name, { seal, madeAt: now });
    return seal;
  };
}

/** A service's side: undefined for what no edge has signed, or not lately. */
export function createOriginReader(edgeKeys: JWK[], clock: Clock): (seal: string | null) => EdgeOrigin | undefined {
  const publicKeys = edgeKeys.map((key) =>
    createPublicKey({ key, format: "jwk" } as Parameters<typeof createPublicKey>[0]),
  );
  const kept = new Map<string, EdgeOrigin & { until: number }>();

  function read(seal: string) {
    const [, said = "", signature = ""] = FORM.exec(seal) ?? [];
    const signed = (key: (typeof publicKeys)[number]) =>
      verify(null, Buffer.from(PURPOSE + said), key, Buffer.from(signature, "base64url"));
    if (!said || !publicKeys.some(signed)) return undefined;
    // What the edge has signed has this form.
    const [address, network, until] = JSON.parse(Buffer.from(said, "base64url").toString()) as [string, string, number];
    return { address, network, until };
  }

  return (seal) => {
    if (seal === null) return undefined;
    const origin = kept.get(seal) ?? read(seal);
    if (!origin) return undefined;
    if (origin.until > clock.now().getTime()) {
      if (!kept.has(seal)) keep(kept, seal, origin);
      return origin;
    }
    kept.delete(seal);
    return undefined;
  };
}

/** The oldest goes when it is full; Map keeps the order of insertion. */
function keep<T>(kept: Map<string, T>, name: string, value: T) {
  kept.delete(name);
  if (kept.size >= KEPT_MAX) for (const oldest of kept.keys()) if (kept.delete(oldest)) break;
  kept.set(name, value);
}
