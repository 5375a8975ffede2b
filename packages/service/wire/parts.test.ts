import { expect, test } from "bun:test";
import { inspectParts } from "./parts.ts";

const well = { found: "well", figures: { size: 1 }, troubles: [] };
const trouble = { says: "it is full", fix: "make room" };

test("a part is ok, or in trouble, or silent when it fails or gives no answer in time; the others are told all the same", async () => {
  const told = await inspectParts(
    {
      events: async () => well,
      disk: async () => ({ ...well, troubles: [trouble] }),
      jobs: () => Promise.reject(new Error("connection refused")),
      locks: () => new Promise(() => {}),
    },
    20,
  );
  expect(told).toEqual({
    events: { state: "ok", ...well },
    disk: { state: "trouble", ...well, troubles: [trouble] },
    jobs: { state: "silent", found: "connection refused", figures: {}, troubles: [] },
    locks: { state: "silent", found: "no answer within 20 ms", figures: {}, troubles: [] },
  });
});
