import { describe, expect, test } from "bun:test";
import { ConnectError } from "@connectrpc/connect";
import { drivenClock } from "../../packages/time/clock.ts";
import { bucketOf, bucketOfCustomer, slotOf, slotOfCustomer } from "../../packages/time/ids.ts";
import { systemRandom } from "../../packages/time/random.ts";
import { type CatalogueEntry, DEADLINES_MS, deadlineAt, MOVES, newOrder, priceLines, type Status } from "./order.ts";

const clock = drivenClock(new Date("2026-01-05T08:00:00Z"));
const random = systemRandom(clock);

describe("the states of an order", () => {
  const legal: Record<Status, Status[]> = {
    PENDING: ["PAID", "CANCELLED"],
    PAID: ["COMPLETED", "CANCELLED"],
    COMPLETED: [],
    CANCELLED: [],
  };
  const states = Object.keys(legal) as Status[];
  for (const from of states) {
    for (const to of states) {
      test(`${from} ${legal[from].includes(to) ? "may" : "must not"} become ${to}`, () => {
        expect(MOVES[from].includes(to)).toBe(legal[from].includes(to));
      });
    }
  }
});

describe("pricing", () => {
  const burger = entry("burger", 450n);
  const mug = entry("mug", 900n, { currencyCode: "USD" });
  const old = entry("old", 100n, { archived: true });
  const catalogue = new Map([burger, mug, old].map((each) => [each.productId, each]));
  const refusal = (lines: { productId: string; quantity: number }[]) => {
    try {
      priceLines(catalogue, lines, clock.now());
    } catch (error) {
      return ConnectError.from(error).rawMessage;
    }
    return "accepted";
  };

  test("lines of one product are merged, and the price is the catalogue's", () => {
    const { lines } = priceLines(
      catalogue,
      [
        { productId: "burger", quantity: 2 },
        { productId: "burger", quantity: 3 },
      ],
      clock.now(),
    );
    expect(lines).toEqual([
      { productId: "burger", name: "burger", quantity: 5, unitPriceMinorUnits: 450n, prepared: true },
    ]);
    expect(newOrder(random.id(), random.id(), { lines, currencyCode: "EUR" }, clock.now()).totalMinorUnits).toBe(2250n);
  });

  test("what is unknown, archived, of another currency or too many is refused by its field", () => {
    expect(refusal([{ productId: "ghost", quantity: 1 }])).toBe("lines[0].product_id: product ghost is not for sale");
    expect(refusal([{ productId: "old", quantity: 1 }])).toContain("not for sale");
    expect(
      refusal([
        { productId: "burger", quantity: 1 },
        { productId: "mug", quantity: 1 },
      ]),
    ).toContain("one currency");
    expect(
      refusal([
        { productId: "burger", quantity: 600 },
        { productId: "burger", quantity: 600 },
      ]),
    ).toContain("at most 1000");
  });
});

describe("ids and deadlines", () => {
  test("an order id names its customer's bucket, is a UUIDv7, and comes after the one before", () => {
    let last = "";
    for (let index = 0; index < 5_000; index++) {
      const customer = random.id();
      const orderId = random.idFor(customer);
      expect(orderId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      expect(slotOf(orderId)).toBe(slotOfCustomer(customer));
      expect(bucketOf(orderId)).toBe(bucketOfCustomer(customer));
      expect(slotOf(random.idBeside(orderId))).toBe(slotOf(orderId));
      expect(orderId.slice(0, 18) > last).toBe(true);
      last = orderId.slice(0, 18);
    }
  });

  test("deadlines are at 4, 12, 22 and 24 hours", () => {
    const at = DEADLINES_MS.map(
      (_, step) => (deadlineAt(clock.now(), step).getTime() - clock.now().getTime()) / 3_600_000,
    );
    expect(at).toEqual([4, 12, 22, 24]);
  });
});

function entry(productId: string, priceMinorUnits: bigint, more: Partial<CatalogueEntry> = {}): CatalogueEntry {
  return {
    productId,
    name: productId,
    currencyCode: "EUR",
    priceMinorUnits,
    prepared: true,
    archived: false,
    menus: [],
    ...more,
  };
}
