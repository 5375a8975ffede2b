import { createCipheriv, createDecipheriv, createHmac, hkdfSync } from "node:crypto";
import type { Sql } from "../../packages/database/database.ts";
import type { App } from "../../packages/service/app.ts";
import { ACCESS_TOKEN_MS, generateSigningKey, type JWK, type SigningKey } from "../../packages/service/wire/tokens.ts";
import type { AuthConfig } from "./config.ts";
import * as store from "./key-store.ts";

/*
 * Private keys lie in the database because every process of this service must sign with the same one, and because the database's role belongs to this
 * service alone. They are sealed with AUTH_SECRET; where none is set, with a secret from the same database, which protects against carelessness only.
 */

/** The key set of a verifier is a minute old at most: a key that has been public for this long is known to all. */
export const PUBLISHED_MS = 60_000;
/** How long tokens of a key outlive it: their life, and more than anyone's leeway. */
export const TAIL_MS = ACCESS_TOKEN_MS + 60_000;
const IV_BYTES = 12;
const TAG_BYTES = 16;

type AuthApp = App<AuthConfig>;

/** The key that signs now. */
export async function signingKey(app: App): Promise<SigningKey> {
  const auth = app as AuthApp; // The tests' harness knows apps without their configuration; keys are asked for of auth's only.
  const row = (await store.readCurrentKey(auth.sql, auth.clock.now())) ?? (await firstKey(auth));
  return open(auth, row);
}

/** A key that signed lately, to make one of its tokens again; undefined when it was revoked. */
export async function keyById(app: AuthApp, kid: string): Promise<SigningKey | undefined> {
  const row = await store.readKey(app.sql, kid);
  return row && open(app, row);
}

/** The public halves of all keys whose tokens are accepted. */
export async function publicKeys(app: AuthApp): Promise<JWK[]> {
  const cutoff = new Date(app.clock.now().getTime() - TAIL_MS);
  const known = await store.readPublicKeys(app.sql, cutoff);
  if (known.length === 0) await firstKey(app);
  const rows = known.length === 0 ? await store.readPublicKeys(app.sql, cutoff) : known;
  return rows.map(({ public_jwk }): JWK => JSON.parse(public_jwk));
}

/** At start: makes the first keys, and new ones where the secret was changed and the old ones cannot be opened any more. */
export async function prepareKeys(app: AuthApp): Promise<void> {
  const current = (await store.readCurrentKey(app.sql, app.clock.now())) ?? (await firstKey(app));
  if (!(await isForeign(app, current))) return;
  const pair = [await generateKey(app), await generateKey(app)] as const;
  await app.transact(async ({ sql }) => {
    await store.lockKeys(sql);
    const now = app.clock.now();
    const still = await store.readCurrentKey(sql, now);
    if (!still || !(await isForeign(app, still))) return; // Another process was faster.
    await store.retireKeys(sql, now);
    await insertPair(app, sql, pair, now);
  });
  app.log.warn("signing-key.replaced", { because: "the former one was sealed with another AUTH_SECRET" });
}

/** Of processes that start together one makes the keys, all use them. */
async function firstKey(app: AuthApp): Promise<store.KeyRow> {
  const pair = [await generateKey(app), await generateKey(app)] as const;
  await app.transact(async ({ sql }) => {
    await store.lockKeys(sql);
    if (!(await store.readCurrentKey(sql, app.clock.now()))) await insertPair(app, sql, pair, app.clock.now());
  });
  const row = await store.readCurrentKey(app.sql, app.clock.now());
  if (!row) throw new Error("there is no signing key although one was just made");
  return row;
}

export function generateKey(app: AuthApp): Promise<SigningKey> {
  return generateSigningKey(`key-${app.random.id()}`);
}

/** Both are usable at once: nobody can have asked for keys before there were any. */
async function insertPair(app: AuthApp, sql: Sql, [current, standby]: readonly [SigningKey, SigningKey], now: Date) {
  await store.insertKeys(sql, [
    await sealedRow(app, sql, current, { usable_from: now, signs_from: now }),
    await sealedRow(app, sql, standby, { usable_from: now, signs_from: null }),
  ]);
}

export async function sealedRow(
  app: AuthApp,
  sql: Sql,
  key: SigningKey,
  times: Pick<store.KeyRow, "usable_from" | "signs_from">,
): Promise<store.KeyRow> {
  const secret = await secretFor(app, sql, "signing keys");
  return {
    kid: key.kid,
    public_jwk: JSON.stringify(key.publicJwk),
    sealed_private_jwk: seal(app, secret, key.kid, JSON.stringify(key.privateJwk)),
    secret_fingerprint: fingerprint(secret),
    ...times,
  };
}

/** What is sealed for one name opens for no other. */
export function seal(app: Pick<App, "random">, secret: Buffer, name: string, text: string): Buffer {
  const iv = app.random.bytes(IV_BYTES);
  const cipher = createCipheriv("aes-256-gcm", secret, iv).setAAD(Buffer.from(name));
  const sealed = Buffer.concat([cipher.update(text, "utf8"), cipher.final()]);
  return Buffer.concat([iv, cipher.getAuthTag(), sealed]);
}

export function unseal(secret: Buffer, name: string, bytes: Uint8Array): string {
  const sealed = Buffer.from(bytes);
  const decipher = createDecipheriv("aes-256-gcm", secret, sealed.subarray(0, IV_BYTES)).setAAD(Buffer.from(name));
  decipher.setAuthTag(sealed.subarray(IV_BYTES, IV_BYTES + TAG_BYTES));
  return Buffer.concat([decipher.update(sealed.subarray(IV_BYTES + TAG_BYTES)), decipher.final()]).toString("utf8");
}

async function open(
  app: AuthApp,
  { kid, public_jwk, sealed_private_jwk, secret_fingerprint }: store.KeyRow,
): Promise<SigningKey> {
  const secret = await secretFor(app, app.sql, "signing keys");
  if (!fingerprint(secret).equals(secret_fingerprint)) {
    throw new Error(
      `signing key ${kid} was sealed with another AUTH_SECRET: start every process of auth with the same one`,
    );
  }
  return { kid, publicJwk: JSON.parse(public_jwk), privateJwk: JSON.parse(unseal(secret, kid, sealed_private_jwk)) };
}

async function isForeign(app: AuthApp, key: store.KeyRow): Promise<boolean> {
  return !fingerprint(await secretFor(app, app.sql, "signing keys")).equals(key.secret_fingerprint);
}

export function fingerprint(secret: Buffer): Buffer {
  return createHmac("sha256", secret).update("fingerprint").digest().subarray(0, 8);
}

/** Secrets for different uses, none of which tells about another. */
export async function secretFor(
  app: AuthApp,
  sql: Sql,
  use: "signing keys" | "codes" | "refresh tokens" | "password salts" | "totp secrets",
): Promise<Buffer> {
  const root =
    app.config.secret ?? (await store.readRootSecret(sql)) ?? (await store.makeRootSecret(sql, app.random.bytes(32)));
  return Buffer.from(hkdfSync("sha256", root, "bodega auth", use, 32));
}
