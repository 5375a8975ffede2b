import { beforeAll, expect, test } from "bun:test";
import { type DrivenClock, drivenClock } from "../../time/clock.ts";
import { createOriginReader, createOriginSeal } from "./edge-origin.ts";
import { deriveEdgeKey, deriveServiceKey, type SigningKey } from "./tokens.ts";

const ANN = { address: "203.0.113.7", network: "203.0.113.0/24" };
let clock: DrivenClock;
let key: SigningKey;
let read: ReturnType<typeof createOriginReader>;
let seal: string;
beforeAll(async () => {
  clock = drivenClock(new Date("2026-01-05T08:00:00Z"));
  key = await deriveEdgeKey("the secret of the edge");
  read = createOriginReader([key.publicJwk], clock);
  seal = createOriginSeal(key, clock)(ANN);
});

test("what the edge has signed is believed, remembered or not", () => {
  expect(read(seal)).toMatchObject(ANN);
  expect(read(seal)).toMatchObject(ANN);
});

test("what nobody has signed, or somebody else, or what was changed, is not", async () => {
  const [said = "", signature = ""] = seal.split(".");
  const other = Buffer.from(JSON.stringify(["192.0.2.1", "192.0.2.0/24", clock.now().getTime() + 1_000]));
  const [stranger, order] = await Promise.all([deriveEdgeKey("another"), deriveServiceKey("order", "order")]);
  const forged = [
    ...["", ".", said, `${said}.`, `.${signature}`, "192.0.2.1", `${said}.${"A".repeat(86)}`],
    `${other.toString("base64url")}.${signature}`,
    ...[stranger, order].map((signer) => createOriginSeal(signer, clock)(ANN)),
  ];
  expect(forged.map((each) => read(each))).toEqual(forged.map(() => undefined));
  expect(read(null)).toBeUndefined();
});

test("one signature serves an address for a minute, and is believed for five", () => {
  const sealing = createOriginSeal(key, clock);
  const first = sealing(ANN);
  expect(sealing({ ...ANN, address: "203.0.113.8" })).not.toBe(first);
  clock.advance(59_000);
  expect(sealing(ANN)).toBe(first);
  clock.advance(1_000);
  expect(sealing(ANN)).not.toBe(first);
  clock.advance(4 * 60_000 - 1);
  expect(read(first)).toMatchObject(ANN);
  clock.advance(1);
  expect([read(first), createOriginReader([key.publicJwk], clock)(first)]).toEqual([undefined, undefined]);
});
