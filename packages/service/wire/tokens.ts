import { createPrivateKey, hkdfSync } from "node:crypto";
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
import { Role, RoleSchema } from "../../api/gen/bodega/auth/v1/auth_pb.ts";
import type { Clock } from "../../time/clock.ts";
import type { Claims, Verifier } from "../caller.ts";
import { unauthenticated } from "../errors.ts";
import { createKeySet } from "./key-set.ts";

export type { JSONWebKeySet, JWK } from "jose";

/** Access tokens are EdDSA JWTs (RFC 8725, RFC 9068): short-lived, for one audience, checked by gateway and services alike. */
const ALGORITHM = "EdDSA";
const TYPE = "at+jwt";
const ISSUER = "bodega";
const AUDIENCE = "bodega";
const LEEWAY_S = 30;
export const ACCESS_TOKEN_MS = 10 * 60_000;
const CACHED_TOKENS_MAX = 10_000;
const TOKEN_CHARS_MAX = 4_096;
/** Decoders forgive padding, foreign characters and bits beyond the last byte; one token has one spelling. */
const COMPACT = /^[\w-]+\.[\w-]+\.[\w-]+$/;
/** A service's key has its name in its id; it may sign ROLE_SERVICE for that name, and nothing else. */
const SERVICE_KID = /^service-([a-z]+)-/;
/** The edge's key signs where clients are (edge-origin.ts), and no token. */
const EDGE_KID = /^edge-/;

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

/** The key that a service signs its own tokens with: the same in every process that was given the service's secret. */
export function deriveServiceKey(secret: string, service: string): Promise<SigningKey> {
  return deriveKey(secret, `service-${service}-`);
}

export function deriveEdgeKey(secret: string): Promise<SigningKey> {
  return deriveKey(secret, "edge-");
}

/** Public keys by what they may sign. Throws for one that is neither a service's nor the edge's. */
export function sortKeys(keys: JWK[]): { services: JWK[]; edge: JWK[] } {
  const other = keys.find(({ kid = "" }) => !SERVICE_KID.test(kid) && !EDGE_KID.test(kid));
  if (other) throw new Error(`expected keys of services and of the edge, found one with the id ${other.kid}`);
  const of = (id: RegExp) => keys.filter(({ kid = "" }) => id.test(kid));
  return { services: of(SERVICE_KID), edge: of(EDGE_KID) };
}

async function deriveKey(secret: string, prefix: string): Promise<SigningKey> {
  const seed = Buffer.from(hkdfSync("sha256", secret, "", "bodega service key", 32));
  const key = createPrivateKey({ key: Buffer.concat([ED25519_PKCS8, seed]), format: "der", type: "pkcs8" });
  const { d, ...publicHalf } = key.export({ format: "jwk" }) as JWK;
  const described = { ...publicHalf, alg: ALGORITHM, use: "sig" };
  const kid = `${prefix}${await calculateJwkThumbprint(described)}`;
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

interface Remembered {
  claims: Claims;
  kid: string;
}

/**
 * `fetchKeys` gives auth's key set, which is asked for every 30 s while tokens come; `trusted` are keys besides. Verified tokens are remembered until they expire or
 * their key is gone. A key of auth's set that is called like a service's is none: auth speaks for users only. `nowMs` measures the age of the set, whatever the clock of tokens says.
 */
export function createVerifier(
  fetchKeys: () => Promise<JSONWebKeySet>,
  clock: Clock,
  { trusted = [], nowMs = () => performance.now() }: { trusted?: JWK[]; nowMs?: () => number } = {},
): Verifier {
  const cache = new Map<string, Remembered>();
  const keys = createKeySet(async () => (await fetchKeys()).keys, nowMs, ACCESS_TOKEN_MS);
  const usersKeys = () => keys.held().filter(({ kid = "" }) => !SERVICE_KID.test(kid));
  const trustedKids = new Set(trusted.map(({ kid }) => kid));

  async function check(token: string): Promise<Remembered> {
    if (token.length > TOKEN_CHARS_MAX) throw unauthenticated("the access token is too long");
    if (!COMPACT.test(token) || !token.split(".").every(isCanonical))
      throw unauthenticated("the access token is not a signed JWT in compact form");
    const { payload, protectedHeader } = await jwtVerify(
      token,
      async (header, jws) => {
        if (!trustedKids.has(header.kid)) await keys.expect(header.kid ?? "");
        return createLocalJWKSet({ keys: [...trusted, ...usersKeys()] })(header, jws);
      },
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
    const kid = protectedHeader.kid ?? "";
    return { claims: { ...claimsOf(payload, kid), fromAuth: !trustedKids.has(kid) }, kid };
  }

  async function recall(token: string): Promise<Claims | undefined> {
    const known = cache.get(token);
    if (!known) return undefined;
    const { claims, kid } = known;
    if (!trustedKids.has(kid)) await keys.refresh();
    const good = trustedKids.has(kid) || keys.held().some((key) => key.kid === kid);
    if (good && claims.expiresAt.getTime() + LEEWAY_S * 1_000 > clock.now().getTime()) return claims;
    cache.delete(token);
    return undefined;
  }

  return {
    async verify(token) {
      const known = await recall(token);
      if (known) return known;
      const verified = await check(token).catch((error: unknown) => {
        throw error instanceof errors.JOSEError
          ? unauthenticated(`the access token is not valid: ${error.message}`)
          : error;
      });
      // The oldest entry goes when the cache is full; Map keeps the order of insertion.
      if (cache.size >= CACHED_TOKENS_MAX) for (const oldest of cache.keys()) if (cache.delete(oldest)) break;
      cache.set(token, verified);
      return verified.claims;
    },
  };
}

/** Of a token that was verified: what tells it from all others. */
export function tokenIdOf(token: string): string {
  const { jti } = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as { jti: string }; // As signToken writes it.
  return jti;
}

function isCanonical(base64url: string): boolean {
  return Buffer.from(base64url, "base64url").toString("base64url") === base64url;
}

const SERVICE_NAME = /^service:/;

/** What services call themselves, and no user is called. */
export function isServiceName(userId: string): boolean {
  return SERVICE_NAME.test(userId);
}

function claimsOf(payload: JWTPayload, kid: string): Omit<Claims, "fromAuth"> {
  const { roles: names, sub, iat, exp } = payload;
  if (!Array.isArray(names) || typeof sub !== "string" || !sub || iat === undefined || exp === undefined)
    throw unauthenticated("the access token lacks its claims");
  // The cache of verified tokens goes by exp, so exp itself must keep to the life of a token.
  if (exp - iat > ACCESS_TOKEN_MS / 1_000)
    throw unauthenticated("the access token claims a longer life than ours have");
  const roles = names.map(roleOf);
  const service = SERVICE_KID.exec(kid)?.[1];
  const ofService = service !== undefined;
  if (ofService !== roles.includes(Role.SERVICE) || (ofService && roles.length > 1))
    throw unauthenticated("the access token claims a role its key may not give");
  if (ofService ? sub !== `service:${service}` : isServiceName(sub))
    throw unauthenticated("the access token names whom its key may not name");
  return { userId: sub, roles, expiresAt: new Date(exp * 1_000) };
}

function roleOf(name: unknown): Role {
  const role = RoleSchema.values.find((value) => value.name === name && value.number !== Role.UNSPECIFIED);
  if (!role) throw unauthenticated(`the access token names an unknown role ${String(name)}`);
  return role.number as Role; // One of the enum's own values.
}
