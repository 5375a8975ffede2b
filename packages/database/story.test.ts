import { expect, test } from "bun:test";
import { OrderCreated } from "../api/facts.ts";
import { FACT_BYTES_MAX, record } from "./story.ts";

test("a fact that no broker would take is refused where it is told", () => {
  const recorder = { service: "mail", now: () => new Date(0), newId: () => crypto.randomUUID() };
  const told = (letters: number) => () => record(recorder).emit(OrderCreated, { orderId: "m".repeat(letters) });
  expect(told(FACT_BYTES_MAX - 100)).not.toThrow();
  expect(told(FACT_BYTES_MAX)).toThrow("a fact has at most 900000 bytes, order.created of");
});
