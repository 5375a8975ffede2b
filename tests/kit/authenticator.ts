// What makes passkeys and signs with them, as a telephone does for a browser (WebAuthn Level 3), and as an attacker would like it to.
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import type { JsonObject } from "@bufbuild/protobuf";

export interface Authenticator {
  /** navigator.credentials.create(), as JSON. */
  create(options: string, deviation?: Deviation): string;
  /** navigator.credentials.get(), as JSON. */
  get(options: string, deviation?: Deviation): string;
}

/** Where an attacker does otherwise. */
export interface Deviation {
  origin?: string;
  rpId?: string;
  type?: string;
  challenge?: string;
  crossOrigin?: boolean;
  /** By default both, the user is there and was verified. */
  present?: boolean;
  verified?: boolean;
  /** By default one more each time. */
  count?: number;
  userHandle?: string;
  /** The statement of an attestation nobody asked for. */
  attestation?: { fmt: string; statement: Map<string, Cbor> };
  /** Turns one bit of the signature round. */
  tampered?: boolean;
}

type Cbor = number | string | Uint8Array | Cbor[] | Map<number | string, Cbor>;

interface Options {
  challenge: string;
  rp?: { id: string };
  rpId?: string;
  user?: { id: string };
}

const PRESENT = 0x01;
const VERIFIED = 0x04;
const ATTESTED = 0x40;

/** One passkey. `counts` as security keys do; those that are synced say 0 always. */
export function authenticator(
  origin: string,
  { algorithm = "P-256", counts = true }: { algorithm?: "P-256" | "Ed25519"; counts?: boolean } = {},
): Authenticator {
  const pair =
    algorithm === "P-256" ? generateKeyPairSync("ec", { namedCurve: "P-256" }) : generateKeyPairSync("ed25519");
  const id = randomBytes(32);
  let userHandle = "";
  let count = 0;

  function client(options: Options, type: string, how: Deviation): Buffer {
    const { challenge = options.challenge, crossOrigin = false } = how;
    return Buffer.from(
      JSON.stringify({ type: how.type ?? type, challenge, origin: how.origin ?? origin, crossOrigin }),
    );
  }

  function data(options: Options, how: Deviation, attested: Uint8Array): Buffer {
    if (counts) count++;
    const { present = true, verified = true, rpId = options.rp?.id ?? options.rpId ?? "" } = how;
    const flags = (present ? PRESENT : 0) | (verified ? VERIFIED : 0) | (attested.length > 0 ? ATTESTED : 0);
    const head = Buffer.alloc(5);
    head.writeUInt8(flags, 0);
    head.writeUInt32BE(how.count ?? count, 1);
    return Buffer.concat([createHash("sha256").update(rpId).digest(), head, attested]);
  }

  const answer = (response: JsonObject) =>
    JSON.stringify({ id: id.toString("base64url"), rawId: id.toString("base64url"), type: "public-key", response });

  return {
    create(json, how = {}) {
      // What the options are is what is being tested.
      const options = JSON.parse(json) as Options;
      userHandle = options.user?.id ?? "";
      const length = Buffer.alloc(2);
      length.writeUInt16BE(id.length);
      const attested = Buffer.concat([new Uint8Array(16), length, id, cbor(coseKey(pair.publicKey))]);
      const { fmt, statement } = how.attestation ?? { fmt: "none", statement: new Map() };
      const attestation = new Map<string, Cbor>([
        ["fmt", fmt],
        ["attStmt", statement],
        ["authData", data(options, how, attested)],
      ]);
      return answer({
        clientDataJSON: client(options, "webauthn.create", how).toString("base64url"),
        attestationObject: cbor(attestation).toString("base64url"),
      });
    },
    get(json, how = {}) {
      const options = JSON.parse(json) as Options;
      const clientData = client(options, "webauthn.get", how);
      const authenticatorData = data(options, how, new Uint8Array());
      const signed = Buffer.concat([authenticatorData, createHash("sha256").update(clientData).digest()]);
      const signature = sign(algorithm === "P-256" ? "sha256" : null, signed, pair.privateKey);
      if (how.tampered) signature.writeUInt8(signature.readUInt8(signature.length - 1) ^ 1, signature.length - 1);
      return answer({
        clientDataJSON: clientData.toString("base64url"),
        authenticatorData: authenticatorData.toString("base64url"),
        signature: signature.toString("base64url"),
        userHandle: how.userHandle ?? userHandle,
      });
    },
  };
}

/** RFC 9053, 7.1 and 7.2. */
function coseKey(key: KeyObject): Map<number, Cbor> {
  const { kty, x = "", y = "" } = key.export({ format: "jwk" });
  const bytes = (text: string) => Buffer.from(text, "base64url");
  if (kty === "OKP")
    return new Map<number, Cbor>([
      [1, 1],
      [3, -8],
      [-1, 6],
      [-2, bytes(x)],
    ]);
  return new Map<number, Cbor>([
    [1, 2],
    [3, -7],
    [-1, 1],
    [-2, bytes(x)],
    [-3, bytes(y)],
  ]);
}

/** RFC 8949, as much of it as authenticators write. */
export function cbor(value: Cbor): Buffer {
  if (typeof value === "number") return value < 0 ? head(1, -1 - value) : head(0, value);
  if (typeof value === "string") return Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value)]);
  if (value instanceof Uint8Array) return Buffer.concat([head(2, value.length), value]);
  if (Array.isArray(value)) return Buffer.concat([head(4, value.length), ...value.map(cbor)]);
  return Buffer.concat([head(5, value.size), ...[...value].flatMap(([key, each]) => [cbor(key), cbor(each)])]);
}

function head(major: number, count: number): Buffer {
  if (count < 24) return Buffer.from([(major << 5) | count]);
  if (count < 256) return Buffer.from([(major << 5) | 24, count]);
  return Buffer.from([(major << 5) | 25, count >> 8, count & 255]);
}
