import { createPrivateKey, hkdfSync } from "node:crypto";
import { Code, type ConnectError } from "@connectrpc/connect";
import {
  calculateJwkThumbprint,
  createLocalJWKSet,
  errors,
  exportJWK,
  generateKeyPair,
  importJWK,
  type JSONWebKeySet,
  type JWK,
  type JWTPayload,
  jwtVerify,
  SignJWT,
} from "jose";
import { Role, RoleSchema } from "../api/gen/bodega/auth/v1/auth_pb.ts";
import type { Clock } from "./clock.ts";
import { refused } from "./errors.ts";

export type { JSONWebKeySet, JWK } from "jose";

/** Access tokens are EdDSA JWTs (RFC 8725, RFC 9068): short-lived, for one audience, checked by gateway and services alike. */
const ALGORITHM = "EdDSA";
const TYPE = "at+jwt";
const ISSUER = "bodega";
const AUDIENCE = "bodega";
const LEEWAY_S = 30;
export const ACCESS_TOKEN_MS = 10 * 60_000;
const CACHED_TOKENS_MAX = 10_000;
const REFETCH_MS = 30_000;
const TOKEN_CHARS_MAX = 4_096;
/** Decoders forgive padding and foreign characters; one token has one spelling. */
const COMPACT = /^[\w-]+\.[\w-]+\.[\w-]+$/;
/** Keys of services carry this prefix; only they may sign ROLE_SERVICE, and nothing else. */
const SERVICE_KID = "service-";

export interface Claims {
  userId: string;
  roles: Role[];
  expiresAt: Date;
}

export interface SigningKey {
  kid: string;
  /** The public half, for the key set. */
  publicJwk: JWK;
  /** The private half: never leaves its owner. */
  privateJwk: JWK;
}

export async function generateSigningKey(kid: string): Promise<SigningKey> {
  const pair = await generateKeyPair(ALGORITHM, { extractable: true });
  const describe = { kid, alg: ALGORITHM, use: "sig" };
  return {
    kid,
    publicJwk: { ...(await exportJWK(pair.publicKey)), ...describe },
    privateJwk: { ...(await exportJWK(pair.privateKey)), ...describe },
  };
}

/** RFC 8410: what stands before the 32 bytes of an Ed25519 private key in PKCS #8. */
const ED25519_PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex");

/** The key that services sign their own tokens with: the same in every process that was given the same secret. */
export async function deriveServiceKey(secret: string): Promise<SigningKey> {
  const seed = Buffer.from(hkdfSync("sha256", secret, "", "bodega service key", 32));
  const key = createPrivateKey({ key: Buffer.concat([ED25519_PKCS8, seed]), format: "der", type: "pkcs8" });
  const { d, ...publicHalf } = key.export({ format: "jwk" }) as JWK;
  const described = { ...publicHalf, alg: ALGORITHM, use: "sig" };
  const kid = `${SERVICE_KID}${await calculateJwkThumbprint(described)}`;
  return { kid, publicJwk: { ...described, kid }, privateJwk: { ...described, kid, ...(d && { d }) } };
}

export async function signToken(
  key: SigningKey,
  claims: { userId: string; roles: Role[]; tokenId: string },
  now: Date,
): Promise<{ token: string; expiresAt: Date }> {
  const expiresAt = new Date(now.getTime() + ACCESS_TOKEN_MS);
  const token = await new SignJWT({ roles: claims.roles.map((role) => RoleSchema.value[role]?.name) })
    .setProtectedHeader({ alg: ALGORITHM, typ: TYPE, kid: key.kid })
    .setSubject(claims.userId)
    .setIssuer(ISSUER)
    .setAudience(AUDIENCE)
    .setJti(claims.tokenId)
    .setIssuedAt(now)
    .setExpirationTime(expiresAt)
    .sign(await importJWK(key.privateJwk, ALGORITHM));
  return { token, expiresAt };
}

export interface Verifier {
  /** Refuses with UNAUTHENTICATED what is not a valid access token of this platform. */
  verify(token: string): Promise<Claims>;
}

/** `fetchKeys` is asked for the key set when an unknown key id comes, at most once in 30 s. Verified tokens are remembered until they expire. */
export function createVerifier(fetchKeys: () => Promise<JSONWebKeySet>, clock: Clock): Verifier {
  const cache = new Map<string, Claims>();
  let keys: JSONWebKeySet = { keys: [] };
  let fetchedAt = Number.NEGATIVE_INFINITY;
  let fetching: Promise<void> | undefined;

  async function keySet(kid: string) {
    const stale = !keys.keys.some((key) => key.kid === kid) && performance.now() - fetchedAt > REFETCH_MS;
    if (stale || fetching) {
      fetching ??= fetchKeys()
        .then((found) => {
          keys = found;
          fetchedAt = performance.now();
        })
        .finally(() => {
          fetching = undefined;
        });
      await fetching;
    }
    return createLocalJWKSet(keys);
  }

  async function check(token: string): Promise<Claims> {
    if (token.length > TOKEN_CHARS_MAX) throw unauthenticated("the access token is too long");
    if (!COMPACT.test(token)) throw unauthenticated("the access token is not a signed JWT in compact form");
    const { payload, protectedHeader } = await jwtVerify(
      token,
      async (header, jws) => (await keySet(header.kid ?? ""))(header, jws),
      {
        algorithms: [ALGORITHM],
        typ: TYPE,
        issuer: ISSUER,
        audience: AUDIENCE,
        requiredClaims: ["sub", "exp", "iat"],
        maxTokenAge: ACCESS_TOKEN_MS / 1_000,
        clockTolerance: LEEWAY_S,
        currentDate: clock.now(),
      },
    );
    return claimsOf(payload, protectedHeader.kid ?? "");
  }

  return {
    async verify(token) {
      const known = cache.get(token);
      if (known && known.expiresAt.getTime() + LEEWAY_S * 1_000 > clock.now().getTime()) return known;
      cache.delete(token);
      const claims = await check(token).catch((error: unknown) => {
        throw error instanceof errors.JOSEError
          ? unauthenticated(`the access token is not valid: ${error.message}`)
          : error;
      });
      // The oldest entry goes when the cache is full; Map keeps the order of insertion.
      if (cache.size >= CACHED_TOKENS_MAX) for (const oldest of cache.keys()) if (cache.delete(oldest)) break;
      cache.set(token, claims);
      return claims;
    },
  };
}

export function unauthenticated(message: string): ConnectError {
  return refused(Code.Unauthenticated, "UNAUTHENTICATED", message);
}

function claimsOf(payload: JWTPayload, kid: string): Claims {
  const { roles: names, sub, iat, exp } = payload;
  if (!Array.isArray(names) || typeof sub !== "string" || !sub || iat === undefined || exp === undefined)
    throw unauthenticated("the access token lacks its claims");
  // The cache of verified tokens goes by exp, so exp itself must keep to the life of a token.
  if (exp - iat > ACCESS_TOKEN_MS / 1_000)
    throw unauthenticated("the access token claims a longer life than ours have");
  const roles = names.map(roleOf);
  if (kid.startsWith(SERVICE_KID) !== roles.includes(Role.SERVICE))
    throw unauthenticated("the access token claims a role its key may not give");
  return { userId: sub, roles, expiresAt: new Date(exp * 1_000) };
}

function roleOf(name: unknown): Role {
  const role = RoleSchema.values.find((value) => value.name === name && value.number !== Role.UNSPECIFIED);
  if (!role) throw unauthenticated(`the access token names an unknown role ${String(name)}`);
  return role.number as Role; // One of the enum's own values.
}
