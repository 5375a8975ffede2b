import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import {
  generateAuthenticationOptions,
  generateRegistrationOptions,
  verifyAuthenticationResponse,
  verifyRegistrationResponse,
} from "@simplewebauthn/server";
import { decodeAttestationObject, isoBase64URL, parseAuthenticatorData } from "@simplewebauthn/server/helpers";
import type { PasskeySchema } from "../../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import type { Sql } from "../../../packages/database/database.ts";
import { table } from "../../../packages/database/table.ts";
import type { App, Tx } from "../../../packages/service/app.ts";
import type { Caller } from "../../../packages/service/caller.ts";
import { invalidField, refused } from "../../../packages/service/errors.ts";
import { tokenIdOf } from "../../../packages/service/wire/tokens.ts";
import type { AuthConfig, PasskeyConfig } from "../config.ts";
import { hashToken, newToken } from "../session.ts";
import type { CredentialsRow } from "../store.ts";
import * as store from "./store.ts";

/*
 * A passkey that has verified its user, by finger, face or PIN, is two factors: something one has, and what opens it. So it is always asked to, and a passkey opens an
 * account by itself. The authenticator keeps whose it is (it is discoverable), so a login need not say, and nobody learns who has an account.
 */

const PASSKEYS_MAX = 10;
const CHALLENGE_LIFE_MS = 5 * 60_000;
/** Ed25519, P-256 and RSA, by their numbers in COSE: what browsers, telephones and Windows have between them. */
const ALGORITHMS = [-8, -7, -257];
/** RSA of 4,096 bits has some 530. */
const PUBLIC_KEY_BYTES_MAX = 1_024;
const CREDENTIAL_ID_BYTES_MAX = 1_023;

export function passkeysOn(app: App<AuthConfig>): PasskeyConfig {
  const why = "this shop has no passkeys: set PASSKEY_ORIGINS to the origins of the pages that ask for them";
  if (!app.config.passkeys) throw refused(Code.FailedPrecondition, "PASSKEYS_OFF", why);
  return app.config.passkeys;
}

const PASSKEY_CHALLENGES = table("passkey_challenges", {
  challenge_hash: "bytea",
  purpose: "text",
  user_id: "uuid",
  password_hash: "text",
  totp_since: "timestamptz",
  expires_at: "timestamptz",
});

/** What a passkey is to sign, once. To register it is bound to who asked, and to the password that was right. */
export async function issueChallenge(app: App, tx: Tx, user: CredentialsRow | null) {
  const challenge = newToken(app);
  const now = app.clock.now();
  const expires_at = new Date(now.getTime() + CHALLENGE_LIFE_MS);
  await store.deleteChallengesOver(tx.sql, now);
  tx.insert(PASSKEY_CHALLENGES, {
    challenge_hash: hashToken(challenge),
    purpose: user ? "REGISTER" : "LOGIN",
    user_id: user?.user_id ?? null,
    password_hash: user?.password_hash ?? null,
    totp_since: user?.totp_since ?? null,
    expires_at,
  });
  return { challenge, expiresAt: timestampFromDate(expires_at) };
}

/** Spent before anything is verified with it, so that two who come at once cannot both have it. */
export async function spendChallenge(
  app: App,
  challenge: string,
  of: Pick<store.ChallengeRow, "purpose" | "user_id">,
): Promise<store.ChallengeRow> {
  const spent = await app.transact(({ sql }) =>
    store.spendChallenge(sql, { challenge_hash: hashToken(challenge), ...of }, app.clock.now()),
  );
  if (spent) return spent;
  const why = "no passkey is waited for with this challenge, or not any more: begin again";
  throw refused(of.user_id ? Code.FailedPrecondition : Code.Unauthenticated, "CHALLENGE_INVALID", why);
}

/** Where admins need a second factor and passkeys are all there is of it, the password alone neither changes them nor adds another. */
export async function refuseByPasswordAlone(
  app: App<AuthConfig>,
  sql: Sql,
  { token }: Caller,
  user: CredentialsRow,
): Promise<void> {
  if (!app.config.adminTotp || user.totp_since || !user.roles.includes("ROLE_ADMIN")) return;
  if ((await store.passkeysOf(sql, user.user_id)).length === 0) return;
  if (await store.openedByPasskey(sql, user.user_id, tokenIdOf(token))) return;
  const why = "admins need a second factor here, and yours are passkeys: log in with one of them first";
  throw refused(Code.PermissionDenied, "PASSKEY_NEEDED", why);
}

export function refuseTooMany(passkeys: store.PasskeyRow[]): void {
  if (passkeys.length < PASSKEYS_MAX) return;
  const why = `an account has at most ${PASSKEYS_MAX} passkeys: remove one first`;
  throw refused(Code.FailedPrecondition, "TOO_MANY_PASSKEYS", why);
}

/** For navigator.credentials.create(), as JSON. */
export async function creationOptions(
  { rpId }: PasskeyConfig,
  challenge: string,
  user: CredentialsRow,
  known: store.PasskeyRow[],
): Promise<string> {
  const options = await generateRegistrationOptions({
    rpName: "Bodega",
    rpID: rpId,
    userID: handleOf(user.user_id),
    userName: user.email,
    userDisplayName: user.display_name,
    challenge: isoBase64URL.toBuffer(challenge),
    timeout: CHALLENGE_LIFE_MS,
    attestationType: "none",
    excludeCredentials: known.map(({ credential_id }) => ({ id: isoBase64URL.fromBuffer(credential_id.slice()) })),
    authenticatorSelection: { residentKey: "required", userVerification: "required" },
    supportedAlgorithmIDs: ALGORITHMS,
  });
  return JSON.stringify(options);
}

/** For navigator.credentials.get(), as JSON. */
export async function requestOptions({ rpId }: PasskeyConfig, challenge: string): Promise<string> {
  const options = await generateAuthenticationOptions({
    rpID: rpId,
    challenge: isoBase64URL.toBuffer(challenge),
    timeout: CHALLENGE_LIFE_MS,
    userVerification: "required",
  });
  return JSON.stringify(options);
}

/** What an authenticator made, in the form that the standard gives it; whether it is good is another question. */
export function readRegistration(credential: string) {
  return readable(() => {
    const { id, response } = readCredential(credential);
    const made = {
      clientDataJSON: base64url(response, "clientDataJSON"),
      attestationObject: base64url(response, "attestationObject"),
    };
    const attestation = decodeAttestationObject(isoBase64URL.toBuffer(made.attestationObject));
    parseAuthenticatorData(attestation.get("authData"));
    // None was asked for: chains of certificates are not even read.
    const own = attestation.get("fmt") === "packed" && !attestation.get("attStmt").get("x5c");
    if (attestation.get("fmt") !== "none" && !own) throw new Error("the attestation must be none");
    return { id, rawId: id, type: "public-key", clientExtensionResults: {}, response: made } as const;
  });
}

export function readAssertion(credential: string) {
  return readable(() => {
    const { id, response } = readCredential(credential);
    const signed = {
      clientDataJSON: base64url(response, "clientDataJSON"),
      authenticatorData: base64url(response, "authenticatorData"),
      signature: base64url(response, "signature"),
      userHandle: base64url(response, "userHandle"),
    };
    parseAuthenticatorData(isoBase64URL.toBuffer(signed.authenticatorData));
    return { id, rawId: id, type: "public-key", clientExtensionResults: {}, response: signed } as const;
  });
}

/** Refuses what does not answer this challenge, from these pages, with its user verified. */
export async function verifyRegistration(
  app: App,
  { rpId, origins }: PasskeyConfig,
  challenge: string,
  response: ReturnType<typeof readRegistration>,
) {
  const { registrationInfo } = await verified(app, Code.InvalidArgument, () =>
    verifyRegistrationResponse({
      response,
      expectedChallenge: challenge,
      expectedOrigin: origins,
      expectedRPID: rpId,
      requireUserVerification: true,
      supportedAlgorithmIDs: ALGORITHMS,
    }),
  );
  const { id, publicKey, counter } = registrationInfo?.credential ?? { id: "", publicKey: [], counter: 0 };
  if (id !== response.id || publicKey.length > PUBLIC_KEY_BYTES_MAX) throw passkeyInvalid(Code.InvalidArgument);
  return {
    credential_id: Buffer.from(id, "base64url"),
    public_key: Buffer.from(publicKey),
    sign_count: BigInt(counter),
    synced: registrationInfo?.credentialBackedUp === true,
  };
}

/** Refuses what this passkey did not sign. Whether it has counted on is for usePasskey to say, in one statement. */
export async function verifyAssertion(
  app: App,
  { rpId, origins }: PasskeyConfig,
  challenge: string,
  response: ReturnType<typeof readAssertion>,
  { user_id, public_key }: store.PasskeyRow,
) {
  const handle = Buffer.from(response.response.userHandle, "base64url");
  if (!handle.equals(handleOf(user_id))) throw passkeyInvalid(Code.Unauthenticated);
  const { authenticationInfo } = await verified(app, Code.Unauthenticated, () =>
    verifyAuthenticationResponse({
      response,
      expectedChallenge: challenge,
      expectedOrigin: origins,
      expectedRPID: rpId,
      requireUserVerification: true,
      credential: { id: response.id, publicKey: public_key.slice(), counter: 0 },
    }),
  );
  return { sign_count: BigInt(authenticationInfo.newCounter), synced: authenticationInfo.credentialBackedUp };
}

/** One answer for all that is wrong with it: which, only who attacks wants to know. The log says it. */
export function passkeyInvalid(status: Code) {
  const why =
    "this is no passkey of ours, or it was not made for this challenge, page and user, or did not verify its user";
  return refused(status, "PASSKEY_INVALID", why);
}

export function toPasskey(row: store.PasskeyRow): MessageInitShape<typeof PasskeySchema> {
  return {
    passkeyId: row.passkey_id,
    name: row.name,
    createdAt: timestampFromDate(row.created_at),
    ...(row.last_used_at && { lastUsedAt: timestampFromDate(row.last_used_at) }),
    synced: row.synced,
  };
}

/** What an authenticator keeps of whose it is. */
function handleOf(userId: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.fromHex(userId.replaceAll("-", ""));
}

/** The library throws for whatever it does not like. */
async function verified<T extends { verified: boolean }>(app: App, status: Code, verify: () => Promise<T>): Promise<T> {
  let because = "the signature is wrong";
  try {
    const answer = await verify();
    if (answer.verified) return answer;
  } catch (error) {
    because = String(error);
  }
  app.log.info("passkey.refused", { because });
  throw passkeyInvalid(status);
}

function readable<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    const { message } = error instanceof Error ? error : { message: String(error) };
    throw invalidField("credential", `is not what navigator.credentials gives, as JSON: ${message.slice(0, 200)}`);
  }
}

function readCredential(credential: string) {
  const parsed = objectOf(JSON.parse(credential));
  const id = base64url(parsed, "rawId");
  if (isoBase64URL.toBuffer(id).length > CREDENTIAL_ID_BYTES_MAX) throw new Error("rawId is too long");
  if (parsed["type"] !== "public-key") throw new Error("type must be public-key");
  const response = objectOf(parsed["response"]);
  const client = objectOf(JSON.parse(isoBase64URL.toUTF8String(base64url(response, "clientDataJSON"))));
  if (client["crossOrigin"] === true) throw new Error("it was made in a frame of another origin");
  return { id, response };
}

function objectOf(value: unknown): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Error("an object was expected");
  return { ...value };
}

function base64url(of: Record<string, unknown>, name: string): string {
  const value = of[name];
  if (typeof value !== "string" || !/^[\w-]+$/.test(value)) throw new Error(`${name} must be text in base64url`);
  return value;
}
