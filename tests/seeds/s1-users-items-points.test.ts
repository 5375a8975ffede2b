// Seed 1: its own test sequence, word for word, by the command: a user, an item of ten points, twelve of it on the market, a hundred points, and a
// purchase by two-phase commit.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { type CommandLine, openCommandLine } from "../kit/command-line.ts";

setDefaultTimeout(300_000);

let shop: CommandLine;
beforeAll(async () => {
  shop = await openCommandLine({ DEMO: "off" });
});
afterAll(() => shop.close());

const SEQUENCE: [words: string, says: RegExp][] = [
  ["ls", /^admin@bodega\.test /m],
  ["create-user my-name", /^userId: 1$/m],
  ["create-item my-item 10", /^itemId: 1$/m],
  ["create-marketplace-item 1 12", /^marketplaceItemId: 1$/m],
  ["user-gxp-add 1 100", /^balance: 100$/m],
  ["buy-marketplace-item 1 1", /^balance: 90$/m],
  ["ls", /^my-name@bodega\.test +my-name +customer +90 /m],
  ["marketplace-svc-info", /^order +\S+ +\d/m],
  ["user-svc-info", /^auth +\S+ +\d/m],
  ["item-svc-info", /^product +\S+ +\d/m],
  ["gxp-svc-info", /^points +\S+ +\d/m],
];

test("the seed's test sequence runs as it was written", async () => {
  for (const [words, says] of SEQUENCE) {
    const { code, out, err } = await shop.bodega(...words.split(" "));
    expect({ words, code, err }).toEqual({ words, code: 0, err: "" });
    expect(out).toMatch(says);
  }
});

test("what was bought is paid and out of stock, what was held is spent, and the books agree", async () => {
  expect(await shop.json("user-gxp", "1")).toEqual({ balance: "90", held: "0" });
  expect(await shop.json("stock", "show", "item-1")).toMatchObject({
    stock: { onHand: 11, reserved: 0, available: 11 },
  });
  const { orders } = (await shop.json("orders", "list")) as { orders: object[] };
  expect(orders).toMatchObject([{ status: "ORDER_STATUS_PAID", paidPoints: "10" }]);
  expect((await shop.bodega("stock", "reconcile")).code).toBe(0);
});

test("nine more, and the tenth has no points left for it: nothing is held, nothing is sold", async () => {
  for (let left = 80; left >= 0; left -= 10)
    expect(await shop.json("buy-marketplace-item", "1", "1")).toMatchObject({ balance: String(left) });
  const refused = await shop.bodega("buy-marketplace-item", "1", "1");
  expect(refused).toMatchObject({ code: 5, out: "", err: expect.stringContaining("NOT_ENOUGH_POINTS") });
  expect(await shop.json("user-gxp", "1")).toEqual({ balance: "0", held: "0" });
});

test("numbers that are nobody's are named", async () => {
  const wrong: [words: string, code: number, says: string][] = [
    ["user-gxp 7", 4, "user-id: there is no user 7"],
    ["create-marketplace-item 7 1", 4, "item-id: there is no item 7"],
    ["buy-marketplace-item 1 7", 4, "marketplace-item-id: there is no item 7"],
    ["create-item my-item dear", 2, "cost: expected a whole number"],
  ];
  for (const [words, code, says] of wrong)
    expect(await shop.bodega(...words.split(" "))).toMatchObject({ code, err: expect.stringContaining(says) });
});
