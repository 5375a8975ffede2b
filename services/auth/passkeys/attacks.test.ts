// What a passkey is not opened by, and what registers none.
import { afterAll, beforeAll, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { AccountNotice } from "../../../packages/api/gen/bodega/mail/v1/events_pb.ts";
import { ADDRESS_HEADER } from "../../../packages/service/wire/rpc.ts";
import { type Authenticator, authenticator, cbor, type Deviation } from "../../../tests/kit/authenticator.ts";
import { type AuthSystem, bearing, outcomes, PASSWORD, refusal, startAuth } from "../../../tests/kit/services/auth.ts";

const ORIGIN = "https://shop.example";
const MINUTE = 60_000;
const INVALID = "PASSKEY_INVALID";
const OVER = "CHALLENGE_INVALID";

// Passwords are hashed for real, a few in each test.
setDefaultTimeout(60_000);
let auth: AuthSystem;
beforeAll(async () => {
  auth = await startAuth({ PASSKEY_ORIGINS: ORIGIN });
});
afterAll(() => auth.close());
// Logins are counted by network, so each test comes from one of its own.
let network = 0;
beforeEach(() => {
  network++;
});

const refused = async (call: Promise<unknown>) => (await refusal(call)).reason;
const from = (address = `198.51.${network}.1`) => ({ headers: { [ADDRESS_HEADER]: address } });
const beginLogin = () => auth.anyone.beginPasskeyLogin({}, from());
const complete = (challenge: string, credential: string) =>
  auth.anyone.completePasskeyLogin({ challenge, credential }, from());

/** A customer who may add a passkey. */
async function customer() {
  const { email, accessToken } = await auth.session();
  const as = bearing(accessToken);
  const begin = () => auth.anyone.beginPasskeyRegistration({ password: PASSWORD }, as);
  const finish = (challenge: string, credential: string) =>
    auth.anyone.finishPasskeyRegistration({ challenge, credential, name: "Key" }, as);
  const count = async () => (await auth.anyone.listPasskeys({}, as)).passkeys.length;
  return { email, as, begin, finish, count };
}

async function owner() {
  const somebody = await customer();
  const device = authenticator(ORIGIN);
  const { options, challenge } = await somebody.begin();
  await somebody.finish(challenge, device.create(options));
  return { ...somebody, device };
}

/** A login that goes as it should but for this. */
async function enter(device: Authenticator, deviation: Deviation = {}) {
  const { options, challenge } = await beginLogin();
  return complete(challenge, device.get(options, deviation));
}

const DEVIATIONS: [string, Deviation][] = [
  ["another origin", { origin: "https://shop.example.evil.test" }],
  ["a page of the same host by another port", { origin: "https://shop.example:8443" }],
  ["a page without TLS", { origin: "http://shop.example" }],
  ["another relying party", { rpId: "evil.test" }],
  ["a parent of the relying party", { rpId: "example" }],
  ["a challenge of its own", { challenge: "b".repeat(43) }],
  ["a user who was not verified", { verified: false }],
  ["a user who was not there", { present: false }],
];

describe("a login", () => {
  let victim: Awaited<ReturnType<typeof owner>>;
  beforeAll(async () => {
    victim = await owner();
  });

  test.each<[string, Deviation]>([
    ...DEVIATIONS,
    ["a wrong signature", { tampered: true }],
    ["what was made to register", { type: "webauthn.create" }],
    ["the handle of another user", { userHandle: Buffer.alloc(16, 7).toString("base64url") }],
  ])("with %s opens nothing, and spends its challenge", async (_, deviation) => {
    const { options, challenge } = await beginLogin();
    expect(await refusal(complete(challenge, victim.device.get(options, deviation)))).toMatchObject({
      code: "Unauthenticated",
      reason: INVALID,
    });
    expect(await refused(complete(challenge, victim.device.get(options)))).toBe(OVER);
    expect((await enter(victim.device)).accessToken).not.toBe("");
  });

  test("from a frame of another origin is not even looked at", async () => {
    expect(await refusal(enter(victim.device, { crossOrigin: true }))).toMatchObject({ code: "InvalidArgument" });
  });

  test("is not repeated: neither with its challenge nor with one of another login", async () => {
    const { options, challenge } = await beginLogin();
    const credential = victim.device.get(options);
    await complete(challenge, credential);
    expect(await refused(complete(challenge, credential))).toBe(OVER);
    expect(await refused(complete((await beginLogin()).challenge, credential))).toBe(INVALID);
  });

  test("that comes twice at once opens one session", async () => {
    const { options, challenge } = await beginLogin();
    const credential = victim.device.get(options);
    const opened = await outcomes([1, 2, 3].map(() => complete(challenge, credential)));
    expect(opened.filter(Boolean)).toHaveLength(1);
  });

  test("waits for five minutes, and not for what was made up or is for a registration", async () => {
    const [early, late] = [await beginLogin(), await beginLogin()];
    await auth.advance(5 * MINUTE - 1_000);
    await complete(early.challenge, victim.device.get(early.options));
    await auth.advance(1_000);
    expect(await refused(complete(late.challenge, victim.device.get(late.options)))).toBe(OVER);
    expect(await refused(complete("a".repeat(43), victim.device.get(late.options)))).toBe(OVER);
    const { begin } = await customer();
    const registration = await begin();
    expect(await refused(complete(registration.challenge, victim.device.get(registration.options)))).toBe(OVER);
  });

  test("with a passkey that nobody has is refused as one with a wrong signature is", async () => {
    const stranger = await refusal(enter(authenticator(ORIGIN), { userHandle: "AAAA" }));
    expect(stranger).toEqual(await refusal(enter(victim.device, { tampered: true })));
  });

  test("with a passkey under another's id opens neither account", async () => {
    const thief = await owner();
    const { options, challenge } = await beginLogin();
    const [theirs, own] = [JSON.parse(victim.device.get(options)), JSON.parse(thief.device.get(options))];
    const forged = { ...own, id: theirs.id, rawId: theirs.rawId };
    expect(await refused(complete(challenge, JSON.stringify(forged)))).toBe(INVALID);
  });

  test("of a passkey that counts backwards, or not on, is refused and told to its owner; the true one opens still", async () => {
    const { device, email } = await owner();
    await enter(device, { count: 10 });
    for (const count of [9, 10, 0]) {
      expect(await refusal(enter(device, { count }))).toMatchObject({
        code: "Unauthenticated",
        reason: "PASSKEY_COPIED",
      });
    }
    const notices = (await auth.noticesTo(email)).filter((notice) => notice === AccountNotice.PASSKEY_COPIED);
    expect(notices).toHaveLength(3);
    await enter(device, { count: 4_294_967_295 });
    const logins = await Promise.all([beginLogin(), beginLogin()]);
    const other = await owner();
    const same = logins.map(({ options, challenge }) => [challenge, other.device.get(options, { count: 7 })] as const);
    const opened = await outcomes(same.map(([challenge, credential]) => complete(challenge, credential)));
    expect(opened.filter(Boolean)).toHaveLength(1);
  });

  test("is begun so often by one network, and by another all the same", async () => {
    const begun = await outcomes(Array.from({ length: 90 }, beginLogin));
    expect(begun.filter(Boolean).length).toBeGreaterThanOrEqual(60);
    expect(begun).toContain(false);
    expect(await refusal(complete("none", victim.device.get('{"challenge":"none"}')))).toMatchObject({
      code: "ResourceExhausted",
      reason: "TOO_MANY_ATTEMPTS",
    });
    await auth.anyone.beginPasskeyLogin({}, from("203.0.113.9"));
  });
});

describe("a registration", () => {
  test.each<[string, Deviation]>([...DEVIATIONS, ["what was made to log in", { type: "webauthn.get" }]])(
    "with %s adds nothing, and spends its challenge",
    async (_, deviation) => {
      const { begin, finish, count } = await customer();
      const { options, challenge } = await begin();
      expect(await refused(finish(challenge, authenticator(ORIGIN).create(options, deviation)))).toBe(INVALID);
      expect(await refused(finish(challenge, authenticator(ORIGIN).create(options)))).toBe(OVER);
      expect(await count()).toBe(0);
    },
  );

  test("adds one passkey, however often and however many at once it is finished", async () => {
    const { begin, finish, count } = await customer();
    const { options, challenge } = await begin();
    const credential = authenticator(ORIGIN).create(options);
    const ends = await outcomes([1, 2, 3].map(() => finish(challenge, credential)));
    expect(ends.filter(Boolean)).toHaveLength(1);
    expect(await refused(finish(challenge, credential))).toBe(OVER);
    expect(await count()).toBe(1);
  });

  test("waits for five minutes, for its user and its purpose", async () => {
    const [mine, other] = [await customer(), await customer()];
    const { options, challenge } = await mine.begin();
    const device = authenticator(ORIGIN);
    expect(await refused(other.finish(challenge, device.create(options)))).toBe(OVER);
    const login = await beginLogin();
    expect(await refused(mine.finish(login.challenge, device.create(login.options)))).toBe(OVER);
    await auth.advance(5 * MINUTE);
    expect(await refused(mine.finish(challenge, device.create(options)))).toBe(OVER);
  });

  test("does not take a passkey over that another account has, however many try at once", async () => {
    const [first, second] = [await customer(), await customer()];
    const [begun, again] = [await first.begin(), await second.begin()];
    const device = authenticator(ORIGIN);
    const ends = await outcomes([
      first.finish(begun.challenge, device.create(begun.options)),
      second.finish(again.challenge, device.create(again.options)),
    ]);
    expect(ends.filter(Boolean)).toHaveLength(1);
    const loser = ends[0] ? second : first;
    const third = await loser.begin();
    expect(await refused(loser.finish(third.challenge, device.create(third.options)))).toBe("PASSKEY_KNOWN");
    expect(await loser.count()).toBe(0);
  });

  test("of another's passkey's name removes nothing", async () => {
    const [victim, thief] = [await owner(), await customer()];
    const { passkeys } = await auth.anyone.listPasskeys({}, victim.as);
    const remove = { passkeyId: passkeys[0]?.passkeyId ?? "", password: PASSWORD };
    expect(await refused(auth.anyone.removePasskey(remove, thief.as))).toBe("PASSKEY_NOT_FOUND");
    expect(await victim.count()).toBe(1);
  });
});

describe("what is no credential", () => {
  const text = (value: unknown) =>
    Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");
  const client = text({ type: "webauthn.get", challenge: "c", origin: ORIGIN });
  const key = { id: "AAAA", rawId: "AAAA", type: "public-key" };
  const signed = {
    clientDataJSON: client,
    authenticatorData: text("a".repeat(37)),
    signature: "AAAA",
    userHandle: "AAAA",
  };
  /** Both of a login and of a registration, but for this. */
  const told = (response: object) => ({ ...key, response: { ...signed, attestationObject: "AAAA", ...response } });
  const attested = (attestation: Buffer) => ({
    ...key,
    response: { clientDataJSON: client, attestationObject: attestation.toString("base64url") },
  });
  const garbage: [string, unknown][] = [
    ["an empty object", {}],
    ["a list", []],
    ["null", null],
    ["a number", 7],
    ["no response", key],
    ["numbers for text", told({ clientDataJSON: 1, attestationObject: 2 })],
    ["no base64url", told({ clientDataJSON: "é=", attestationObject: "é=" })],
    ["client data that are no JSON", told({ clientDataJSON: text("{") })],
    ["client data that are null", told({ clientDataJSON: text("null") })],
    ["another type", { ...told({}), type: "password" }],
    ["an id that is too long", { ...told({}), rawId: "A".repeat(1_400) }],
    ["data that are too short", told({ authenticatorData: "AAAA" })],
    ["CBOR that ends early", attested(Buffer.from([0xbf, 0xff, 0x5b]))],
    ["CBOR that is a number", attested(cbor(7))],
    ["CBOR without anything in it", attested(cbor(new Map()))],
    ["CBOR as deep as it fits", attested(Buffer.alloc(11_000, 0x81))],
    ["CBOR that says it is long", attested(Buffer.from("9bffffffffffffffff", "hex"))],
    ["CBOR with short data", attested(cbor(new Map<string, Uint8Array>([["authData", new Uint8Array(8)]])))],
  ];

  test.each(garbage)("%s is told so", async (_, value) => {
    const { finish } = await customer();
    for (const call of [() => complete("c", JSON.stringify(value)), () => finish("c", JSON.stringify(value))])
      expect(await refusal(call())).toMatchObject({ code: "InvalidArgument", reason: "INVALID_ARGUMENT" });
  });

  test("no JSON, and more than fits, are told so", async () => {
    const { finish } = await customer();
    for (const value of ["", "{", "\u0000", "a".repeat(16_385), JSON.stringify({ ...key, more: "x".repeat(20_000) })])
      for (const call of [() => complete("c", value), () => finish("c", value)])
        expect(await refusal(call())).toMatchObject({ code: "InvalidArgument" });
  });

  test("an attestation that nobody asked for is not read", async () => {
    const { begin, finish } = await customer();
    const { options, challenge } = await begin();
    for (const fmt of ["packed", "tpm", "apple", "android-key", "fido-u2f", "fido"]) {
      const statement = new Map([["x5c", [Buffer.from("no certificate")]]]);
      const credential = authenticator(ORIGIN).create(options, { attestation: { fmt, statement } });
      expect(await refusal(finish(challenge, credential))).toMatchObject({ code: "InvalidArgument" });
    }
    await finish(challenge, authenticator(ORIGIN).create(options));
  });
});

test("neither challenges nor handles to them are readable in the database", async () => {
  const { begin } = await customer();
  const challenges = [(await begin()).challenge, (await beginLogin()).challenge];
  const text = JSON.stringify(await auth.app("auth").sql`select c::text from passkey_challenges c`);
  for (const challenge of challenges) {
    for (const bytes of [Buffer.from(challenge), Buffer.from(challenge, "base64url")])
      expect(text).not.toContain(bytes.toString("hex"));
    expect(text).not.toContain(challenge);
  }
});
