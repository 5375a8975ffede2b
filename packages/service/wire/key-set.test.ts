import { beforeAll, describe, expect, test } from "bun:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { Role } from "../../api/gen/bodega/auth/v1/auth_pb.ts";
import { drivenClock } from "../../time/clock.ts";
import { createVerifier, generateSigningKey, type JSONWebKeySet, type SigningKey, signToken } from "./tokens.ts";

const START = new Date("2026-01-05T08:00:00Z");
const USER = "01890000-0000-7000-8000-000000000001";
const clock = drivenClock(START);
let key: SigningKey;
let former: SigningKey;
let keySet: JSONWebKeySet;
let good: string;

beforeAll(async () => {
  [key, former] = await Promise.all([generateSigningKey("key-1"), generateSigningKey("key-0")]);
  keySet = { keys: [key.publicJwk, former.publicJwk] };
  good = (await signToken(key, { userId: USER, roles: [Role.CUSTOMER], tokenId: "1" }, START)).token;
});

describe("the key set", () => {
  const aging = (found: { keys: JSONWebKeySet; broken?: boolean; slow?: Promise<void> }) => {
    const real = { ms: 0, fetches: 0 };
    const fetchKeys = async () => {
      real.fetches += 1;
      await found.slow;
      if (found.broken) throw new Error("auth is away");
      return found.keys;
    };
    return { real, verifier: createVerifier(fetchKeys, drivenClock(START), { nowMs: () => real.ms }) };
  };
  const refused = async (verifying: Promise<unknown>) => {
    const error = await verifying.then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(ConnectError.from(error).code).toBe(Code.Unauthenticated);
  };

  test("is a minute old at most: then the tokens of a key that was taken out are refused, remembered ones too", async () => {
    const found = { keys: keySet };
    const { real, verifier } = aging(found);
    await verifier.verify(good);
    found.keys = { keys: [former.publicJwk] };
    real.ms = 60_001;
    await refused(verifier.verify(good));
    await refused(verifier.verify(good));
    expect(real.fetches).toBe(2);
  });

  test("is asked for behind the backs of callers when it is half a minute old, so that none of them waits", async () => {
    const found: Parameters<typeof aging>[0] = { keys: keySet };
    const { real, verifier } = aging(found);
    await verifier.verify(good);
    const answer = Promise.withResolvers<void>();
    Object.assign(found, { keys: { keys: [former.publicJwk] }, slow: answer.promise });
    real.ms = 30_001;
    for (let time = 0; time < 3; time++) expect((await verifier.verify(good)).userId).toBe(USER);
    expect(real.fetches).toBe(2);
    answer.resolve();
    await new Promise(setImmediate);
    await refused(verifier.verify(good));
  });

  test("serves while auth is away, but not longer than its tokens live", async () => {
    const found = { keys: keySet, broken: false };
    const { real, verifier } = aging(found);
    await verifier.verify(good);
    found.broken = true;
    for (real.ms = 61_000; real.ms < 600_000; real.ms += 60_000)
      expect((await verifier.verify(good)).userId).toBe(USER);
    real.ms = 599_000;
    const asked = real.fetches;
    await Promise.all(Array.from({ length: 100 }, () => verifier.verify(good)));
    expect(real.fetches - asked).toBeLessThanOrEqual(1);
    real.ms = 600_001;
    await expect(verifier.verify(good)).rejects.toThrow("auth is away");
    found.broken = false;
    expect((await verifier.verify(good)).userId).toBe(USER);
  });

  test("does not touch keys that are trusted besides it, whose users auth does not know", async () => {
    const { publicJwk } = former;
    const apart = createVerifier(() => Promise.reject(new Error("auth is away")), drivenClock(START), {
      trusted: [publicJwk],
    });
    const { token } = await signToken(former, { userId: USER, roles: [Role.ADMIN], tokenId: "1" }, START);
    for (let time = 0; time < 2; time++) expect((await apart.verify(token)).fromAuth).toBe(false);
  });
});

test("unknown key ids do not make a storm of requests for the key set", async () => {
  let fetches = 0;
  const counting = createVerifier(async () => {
    fetches += 1;
    return keySet;
  }, clock);
  await counting.verify(good);
  const [, payload, signature] = good.split(".");
  const naming = (kid: string) =>
    Buffer.from(JSON.stringify({ alg: "EdDSA", typ: "at+jwt", kid })).toString("base64url");
  const strangers = Array.from({ length: 1_000 }, (_, index) => `${naming(`key-x${index}`)}.${payload}.${signature}`);
  const outcomes = await Promise.allSettled(strangers.map((token) => counting.verify(token)));
  expect(outcomes.filter(({ status }) => status === "rejected")).toHaveLength(1_000);
  expect(fetches).toBe(1);
});

test("when the key set cannot be fetched the token is not called invalid, and the next call asks again", async () => {
  let broken = true;
  const flaky = createVerifier(async () => {
    if (broken) throw new Error("auth is away");
    return keySet;
  }, clock);
  await expect(flaky.verify(good)).rejects.toThrow("auth is away");
  broken = false;
  expect((await flaky.verify(good)).userId).toBe(USER);
});
