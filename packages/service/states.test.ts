import { expect, test } from "bun:test";
import { OrderStatus } from "../api/gen/bodega/order/v1/order_pb.ts";
import { stateOf } from "./states.ts";

test("a state is what its enum calls it, there and back", () => {
  for (const state of ["PENDING", "PAID", "COMPLETED", "CANCELLED"] as const)
    expect(stateOf(OrderStatus, OrderStatus[state])).toBe(state);
  expect(stateOf(OrderStatus, OrderStatus.UNSPECIFIED)).toBeNull();
  expect(() => stateOf(OrderStatus, 99)).toThrow("found 99");
});
