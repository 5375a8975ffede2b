/** A protobuf enum: the names of its states, without their prefix, and their numbers. */
type States = Record<string, number>;

/**
 * The state that a number of an enum stands for, as databases keep it: ORDER_STATUS_PAID is PAID. Null for UNSPECIFIED, which asks for no state. The way
 * back is the enum itself: OrderStatus["PAID"].
 */
export function stateOf<E extends States>(states: E, value: number): Exclude<keyof E, "UNSPECIFIED"> | null {
  const name = Object.keys(states).find((each) => states[each] === value);
  if (name === undefined) throw new Error(`expected a state of ${Object.keys(states).join(", ")}, found ${value}`);
  return name === "UNSPECIFIED" ? null : (name as Exclude<keyof E, "UNSPECIFIED">); // One of its own keys.
}
