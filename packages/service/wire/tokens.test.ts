import { beforeAll, describe, expect, test } from "bun:test";
import { createHmac, generateKeyPairSync, sign as signBytes } from "node:crypto";
import { Code, ConnectError } from "@connectrpc/connect";
import { Role } from "../../api/gen/bodega/auth/v1/auth_pb.ts";
import { type DrivenClock, drivenClock } from "../../time/clock.ts";
import type { Verifier } from "../caller.ts";
import {
  createVerifier,
  deriveEdgeKey,
  deriveServiceKey,
  generateSigningKey,
  type JSONWebKeySet,
  type SigningKey,
  signToken,
} from "./tokens.ts";

const START = new Date("2026-01-05T08:00:00Z");
const NOW_S = START.getTime() / 1_000;
const USER = "019b8d3c-5c00-7000-8000-000000000001";
const ID = "019b8d3c-5c00-7000-8000-000000000002";

let clock: DrivenClock;
let key: SigningKey;
let former: SigningKey;
let foreign: SigningKey;
let serviceKey: SigningKey;
let edgeKey: SigningKey;
let ofAuth: SigningKey;
let keySet: JSONWebKeySet;
let verifier: Verifier;
let good: string;

beforeAll(async () => {
  clock = drivenClock(START);
  [key, former, foreign, serviceKey] = await Promise.all([
    generateSigningKey("key-1"),
    generateSigningKey("key-0"),
    generateSigningKey("key-1"),
    deriveServiceKey("the secret of order", "order"),
  ]);
  [edgeKey, ofAuth] = await Promise.all([deriveEdgeKey("the secret of order"), deriveServiceKey("auth", "auth")]);
  // The planted bug: auth, taken over, publishes a key that is called like a service's.
  keySet = { keys: [key.publicJwk, former.publicJwk, { ...ofAuth.publicJwk, kid: ofAuth.kid }] };
  verifier = createVerifier(async () => keySet, clock, { trusted: [serviceKey.publicJwk] });
  good = (await signToken(key, { userId: USER, roles: [Role.CUSTOMER], tokenId: ID }, START)).token;
});

type Json = Record<string, unknown>;

const encode = (part: Json | string) =>
  Buffer.from(typeof part === "string" ? part : JSON.stringify(part)).toString("base64url");
const HEADER = { alg: "EdDSA", typ: "at+jwt", kid: "key-1" };
const claims = (): Json => ({
  roles: ["ROLE_CUSTOMER"],
  sub: USER,
  iss: "bodega",
  aud: "bodega",
  jti: ID,
  iat: NOW_S,
  exp: NOW_S + 600,
});

function without(json: Json, name: string): Json {
  const { [name]: _, ...rest } = json;
  return rest;
}

/** A token signed properly over whatever header and payload it is given. */
function forge(header: Json | string, payload: Json | string, signer: SigningKey = key): string {
  const text = `${encode(header)}.${encode(payload)}`;
  return `${text}.${signBytes(null, Buffer.from(text), { key: signer.privateJwk as never, format: "jwk" }).toString("base64url")}`;
}

function hmac(alg: "HS256" | "HS512", secret: string | Buffer): string {
  const text = `${encode({ ...HEADER, alg })}.${encode(claims())}`;
  return `${text}.${createHmac(alg === "HS256" ? "sha256" : "sha512", secret)
    .update(text)
    .digest("base64url")}`;
}

function rsa(): string {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2_048 });
  const text = `${encode({ ...HEADER, alg: "RS256" })}.${encode(claims())}`;
  return `${text}.${signBytes("sha256", Buffer.from(text), privateKey).toString("base64url")}`;
}

function ecdsa(): string {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const text = `${encode({ ...HEADER, alg: "ES256" })}.${encode(claims())}`;
  return `${text}.${signBytes("sha256", Buffer.from(text), { key: privateKey, dsaEncoding: "ieee-p1363" }).toString("base64url")}`;
}

/** Signed by order's own key, in whatever name. */
const byService = (sub: string) =>
  forge({ ...HEADER, kid: serviceKey.kid }, { ...claims(), sub, roles: ["ROLE_SERVICE"] }, serviceKey);
const parts = () => good.split(".") as [string, string, string];
const publicKey = () => Buffer.from(String(key.publicJwk.x), "base64url");
const withHeader = (extra: Json) => forge({ ...HEADER, ...extra }, claims());
const withClaims = (extra: Json) => forge(HEADER, { ...claims(), ...extra });
/** The last character of 64 bytes in base64url carries two bits only; the first carries six. */
const flip = (text: string) => (text.startsWith("A") ? "B" : "A") + text.slice(1);

/** What must not be accepted, each with one thing wrong. */
const BAD: Record<string, () => string> = {
  "alg none, no signature": () => `${encode({ ...HEADER, alg: "none" })}.${encode(claims())}.`,
  "alg None, no signature": () => `${encode({ ...HEADER, alg: "None" })}.${encode(claims())}.`,
  "alg NONE with a signature": () => withHeader({ alg: "NONE" }),
  "alg none with the good signature": () => `${encode({ ...HEADER, alg: "none" })}.${parts()[1]}.${parts()[2]}`,
  "HS256 with the public key's bytes": () => hmac("HS256", publicKey()),
  "HS256 with the public key's base64url": () => hmac("HS256", String(key.publicJwk.x)),
  "HS256 with the public JWK": () => hmac("HS256", JSON.stringify(key.publicJwk)),
  "HS512 with the public key's bytes": () => hmac("HS512", publicKey()),
  "HS256 with the empty secret": () => hmac("HS256", ""),
  "HS256 with the key id": () => hmac("HS256", "key-1"),
  "RS256 with a key of one's own": rsa,
  "ES256 with a key of one's own": ecdsa,
  "alg RS256 over our signature": () => withHeader({ alg: "RS256" }),
  "alg in another case": () => withHeader({ alg: "eddsa" }),
  "alg missing": () => forge(without(HEADER, "alg"), claims()),
  "alg a list": () => withHeader({ alg: ["EdDSA"] }),
  "signed by a stranger under our key id": () => forge(HEADER, claims(), foreign),
  "signed by the former key under the present key id": () => forge(HEADER, claims(), former),
  "signed by the present key under the former key id": () => withHeader({ kid: "key-0" }),
  "unknown kid": () => withHeader({ kid: "key-9" }),
  "kid missing while there are several keys": () => forge(without(HEADER, "kid"), claims()),
  "kid empty": () => withHeader({ kid: "" }),
  "kid a path": () => withHeader({ kid: "../../../../dev/null" }),
  "kid SQL": () => withHeader({ kid: "key-1' or '1'='1" }),
  "kid a command": () => withHeader({ kid: "key-1|cat /etc/passwd" }),
  "kid an URL": () => withHeader({ kid: "https://evil.test/key.json" }),
  "kid __proto__": () => withHeader({ kid: "__proto__" }),
  "kid an object": () => withHeader({ kid: { kid: "key-1" } }),
  "a key of its own in jwk": () => forge({ ...HEADER, kid: "evil", jwk: foreign.publicJwk }, claims(), foreign),
  "a key of its own in jwk under our kid": () => forge({ ...HEADER, jwk: foreign.publicJwk }, claims(), foreign),
  "a key set of its own in jku": () => forge({ ...HEADER, jku: "http://127.0.0.1:9/jwks.json" }, claims(), foreign),
  "a certificate of its own in x5u": () => forge({ ...HEADER, x5u: "http://127.0.0.1:9/cert.pem" }, claims(), foreign),
  "an unknown critical extension": () => withHeader({ crit: ["exp2"], exp2: 1 }),
  "b64 false": () => withHeader({ crit: ["b64"], b64: false }),
  "typ missing": () => forge(without(HEADER, "typ"), claims()),
  "typ JWT": () => withHeader({ typ: "JWT" }),
  "typ of a refresh token": () => withHeader({ typ: "rt+jwt" }),
  "exp missing": () => forge(HEADER, without(claims(), "exp")),
  "exp a string": () => withClaims({ exp: String(NOW_S + 600) }),
  "exp null": () => withClaims({ exp: null }),
  "exp in the past": () => withClaims({ iat: NOW_S - 640, exp: NOW_S - 40 }),
  "far exp, issued long ago": () => withClaims({ iat: NOW_S - 86_400, exp: NOW_S + 86_400 * 365 }),
  "far exp, issued now": () => withClaims({ exp: NOW_S + 86_400 * 365 }),
  "exp infinite": () => forge(HEADER, JSON.stringify(claims()).replace(/"exp":\d+/, '"exp":1e999')),
  "iat missing": () => forge(HEADER, without(claims(), "iat")),
  "iat in the future": () => withClaims({ iat: NOW_S + 120, exp: NOW_S + 600 }),
  "nbf in the future": () => withClaims({ nbf: NOW_S + 120 }),
  "iss missing": () => forge(HEADER, without(claims(), "iss")),
  "iss another": () => withClaims({ iss: "https://evil.test" }),
  "iss in another case": () => withClaims({ iss: "Bodega" }),
  "aud missing": () => forge(HEADER, without(claims(), "aud")),
  "aud another": () => withClaims({ aud: "other" }),
  "aud an empty list": () => withClaims({ aud: [] }),
  "sub missing": () => forge(HEADER, without(claims(), "sub")),
  "sub empty": () => withClaims({ sub: "" }),
  "sub a number": () => withClaims({ sub: 1 }),
  "roles missing": () => forge(HEADER, without(claims(), "roles")),
  "roles a word": () => withClaims({ roles: "ROLE_ADMIN" }),
  "an unknown role": () => withClaims({ roles: ["ROLE_ROOT"] }),
  "the unspecified role": () => withClaims({ roles: ["ROLE_UNSPECIFIED"] }),
  "a role by number": () => withClaims({ roles: [3] }),
  "ROLE_SERVICE from a key of auth": () => withClaims({ roles: ["ROLE_SERVICE"] }),
  "ROLE_SERVICE among others from a key of auth": () => withClaims({ roles: ["ROLE_CUSTOMER", "ROLE_SERVICE"] }),
  "ROLE_ADMIN from a service's key": () =>
    forge({ ...HEADER, kid: serviceKey.kid }, { ...claims(), roles: ["ROLE_ADMIN"] }, serviceKey),
  "no roles from a service's key": () =>
    forge({ ...HEADER, kid: serviceKey.kid }, { ...claims(), roles: [] }, serviceKey),
  "another service's name from a service's key": () => byService("service:points"),
  "a service's name and more from its key": () => byService("service:order2"),
  "a user's name from a service's key": () => byService(USER),
  "a service's name from a key of auth": () => withClaims({ sub: "service:order", roles: ["ROLE_SERVICE"] }),
  "a key of auth's set that is called like a service's": () =>
    forge({ ...HEADER, kid: ofAuth.kid }, { ...claims(), sub: "service:auth", roles: ["ROLE_SERVICE"] }, ofAuth),
  "signed by the edge's key": () => forge({ ...HEADER, kid: edgeKey.kid }, claims(), edgeKey),
  "payload changed after signing": () =>
    `${parts()[0]}.${encode({ ...claims(), roles: ["ROLE_ADMIN"] })}.${parts()[2]}`,
  "signature changed": () => `${parts()[0]}.${parts()[1]}.${flip(parts()[2])}`,
  "signature of another token": () => `${parts()[0]}.${parts()[1]}.${withClaims({ jti: "x" }).split(".")[2]}`,
  "signature empty": () => `${parts()[0]}.${parts()[1]}.`,
  "signature all zero": () => `${parts()[0]}.${parts()[1]}.${Buffer.alloc(64).toString("base64url")}`,
  "signature cut short": () => good.slice(0, -10),
  "signature too long": () => `${good}AAAA`,
  "without its signature": () => `${parts()[0]}.${parts()[1]}`,
  "header only": () => parts()[0],
  "four parts": () => `${good}.${parts()[2]}`,
  "five parts, as if encrypted": () => `${good}.AAAA.AAAA`,
  "header no JSON": () => forge("not json", claims()),
  "header a list": () => forge("[]", claims()),
  "payload no JSON": () => forge(HEADER, "not json"),
  "payload a list": () => forge(HEADER, "[]"),
  "payload null": () => forge(HEADER, "null"),
  "claims twice, the last ones bad": () =>
    forge(
      HEADER,
      JSON.stringify(claims())
        .replace("{", '{"aud":"bodega",')
        .replace(/"aud":"bodega"(?=,"jti")/, '"aud":"other"'),
    ),
  "standard base64 with padding": () => `${good}==`,
  "white space inside": () => `${parts()[0]}. ${parts()[1]}.${parts()[2]}`,
  "a refresh token": () => Buffer.alloc(32, 7).toString("base64url"),
  empty: () => "",
  dots: () => "..",
  "longer than any of ours": () => withClaims({ padding: "x".repeat(8_192) }),
};

describe("a token is refused:", () => {
  for (const [what, make] of Object.entries(BAD)) {
    test(what, async () => {
      const outcome = await verifier.verify(make()).catch((error: unknown) => error);
      expect(outcome).toBeInstanceOf(ConnectError);
      expect((outcome as ConnectError).code).toBe(Code.Unauthenticated);
    });
  }
  test(`and these are ${Object.keys(BAD).length} ways`, () =>
    expect(Object.keys(BAD).length).toBeGreaterThanOrEqual(60));
});

describe("a token is accepted:", () => {
  test("as it is signed, and forged by the right key", async () => {
    const expected = {
      userId: USER,
      roles: [Role.CUSTOMER],
      expiresAt: new Date((NOW_S + 600) * 1_000),
      fromAuth: true,
    };
    expect(await verifier.verify(good)).toEqual(expected);
    expect(await verifier.verify(forge(HEADER, claims()))).toEqual(expected);
  });

  test("of the former key as long as it is published", async () => {
    const { token } = await signToken(former, { userId: USER, roles: [Role.ADMIN], tokenId: ID }, START);
    expect((await verifier.verify(token)).roles).toEqual([Role.ADMIN]);
  });

  test("of a service, signed by a service's key", async () => {
    const { token } = await signToken(
      serviceKey,
      { userId: "service:order", roles: [Role.SERVICE], tokenId: ID },
      START,
    );
    expect(await verifier.verify(token)).toMatchObject({ userId: "service:order", roles: [Role.SERVICE] });
  });

  test("until thirty seconds after its end, remembered or not", async () => {
    const own = drivenClock(START);
    const remembering = createVerifier(async () => keySet, own);
    await remembering.verify(good);
    own.advance(600_000 + 29_000);
    await remembering.verify(good);
    await createVerifier(async () => keySet, own).verify(good);
    own.advance(2_000);
    for (const each of [remembering, createVerifier(async () => keySet, own)]) {
      expect(await each.verify(good).catch((error: unknown) => error)).toBeInstanceOf(ConnectError);
    }
  });
});

test("the same claims signed twice are the same token, which a retried refresh relies on", async () => {
  const again = await signToken(key, { userId: USER, roles: [Role.CUSTOMER], tokenId: ID }, START);
  expect(again.token).toBe(good);
});
