import { expect, setDefaultTimeout, test } from "bun:test";
import { AuthService } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { OrderStatus } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import type { Sql } from "../../packages/database/database.ts";
import type { Kept } from "../../packages/database/retention.ts";
import { BROKER_KEEPS } from "../../packages/events/forget.ts";
import { ENGINE_KEEPS, forgetOld } from "../../packages/service/engine/maintenance.ts";
import { BROKER } from "../../services/all.ts";
import { addCustomer, addProduct, differences, orderNow, pay, place } from "../kit/customers.ts";
import { pointsDifferences } from "../kit/services/points.ts";
import { ENVIRONMENT, type System, startSystem } from "../kit/system.ts";

setDefaultTimeout(900_000);

const HOUR_MS = 3_600_000;
const STEP_MS = 60 * 24 * HOUR_MS;
const STEPS_A_YEAR = 6;
const YEARS = 10;
/** By then what is kept longest has come to its end for the first time: two years. */
const FULL_YEAR = 3;

/** Rows by service and table. */
type Sizes = Map<string, number>;

test("after ten years of a small shop only its records have grown, and its books agree", async () => {
  const system = await startSystem({ env: { EVENTLOG_KEEP_MONTHS: "12" } });
  const product = await addProduct(system, { sku: "ten-years", stock: 10_000, prepared: false });
  const years: Sizes[] = [];
  const last = { paid: "", forgotten: "" };
  for (let year = 0; year < YEARS; year++) {
    const customer = await addCustomer(system, `year-${year}`);
    for (let step = 0; step < STEPS_A_YEAR; step++) {
      const [paid, forgotten] = [await place(system, customer, product), await place(system, customer, product)];
      Object.assign(last, { paid: paid.orderId, forgotten: forgotten.orderId });
      await comeIn(system);
      await system.settle();
      await pay(system, customer, paid.orderId);
      // A reminder, and much later what is left of the day.
      await system.advance(4 * HOUR_MS);
      await system.advance(STEP_MS - 4 * HOUR_MS);
      await forget(system);
    }
    years.push(await sizes(system, (keeps) => keeps !== "for ever"));
  }
  expect(await orderNow(system, last.paid)).toMatchObject({ status: OrderStatus.COMPLETED });
  expect(await orderNow(system, last.forgotten)).toMatchObject({ status: OrderStatus.CANCELLED });
  expect(grown(years.slice(FULL_YEAR))).toEqual([]);
  // What has grown is what is to be kept; so the sizes would have shown the others.
  const records = await sizes(system, (keeps) => keeps === "for ever");
  expect(records.get("order.orders")).toBe(YEARS * STEPS_A_YEAR * 2);
  for (const table of ["mail.mails", "stock.reservations", "eventlog.events"])
    expect(years.at(-1)?.get(table)).toBeGreaterThan(0);
  expect(records.get("order.leaders")).toBeLessThan(20);
  expect(await differences(system)).toEqual([]);
  expect(await pointsDifferences(system)).toEqual([]);
  expect(system.lines.filter(({ event }) => event === "maintenance.failed")).toEqual([]);
  await system.close();
});

test("a table that grows year by year is named", () => {
  const year = (inbox: number, mails: number) => new Map([["order.inbox", inbox], ["mail.mails", mails]]); // biome-ignore format: a line a year
  expect(grown([year(100, 50), year(103, 50), year(99, 61)])).toEqual(["mail.mails: 50, 50, 61"]);
});

/** Tables that have more rows at the end than they began with, but for a few: a step may lie on either side of a year's end. */
function grown(years: Sizes[]): string[] {
  const [first, ...later] = years;
  const over = [...(first ?? [])].filter(([table, rows]) =>
    later.some((year) => (year.get(table) ?? 0) > rows * 1.15 + 3),
  );
  return over.map(([table]) => `${table}: ${years.map((year) => year.get(table)).join(", ")}`);
}

async function comeIn(system: System) {
  const auth = system.as("anonymous", AuthService);
  await auth.login({ email: ENVIRONMENT.ADMIN_EMAIL, password: ENVIRONMENT.ADMIN_PASSWORD });
  await auth.requestPasswordReset({ email: "nobody@bodega.test" });
}

/** What each service does by itself every ten minutes of real time, of which ten years have too few here. */
async function forget({ platform }: System) {
  for (const { app, definition } of platform.services)
    await forgetOld(app, [...ENGINE_KEEPS, ...(definition.keeps ?? [])]);
}

async function sizes({ platform, broker }: System, which: (keeps: string) => boolean): Promise<Sizes> {
  const counted = new Map<string, number>();
  const count = async (service: string, sql: Sql, kept: Kept[]) => {
    for (const { table, keeps } of kept) {
      if (!which(keeps)) continue;
      const [row] = await sql<{ rows: number }[]>`select count(*)::int as rows from ${sql(table)}`;
      counted.set(`${service}.${table}`, row?.rows ?? 0);
    }
  };
  for (const { name, app, definition } of platform.services)
    await count(name, app.sql, [...ENGINE_KEEPS, ...(definition.keeps ?? [])]);
  await count(BROKER, broker.sql, BROKER_KEEPS);
  return counted;
}
