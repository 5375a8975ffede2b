export interface KitchenConfig {
  /** Simulated staff works the tickets. */
  staff: boolean;
}

export function readConfig(env: Record<string, string | undefined>): KitchenConfig {
  const staff = env["KITCHEN_STAFF"] ?? "on";
  if (staff !== "on" && staff !== "off") throw new Error(`KITCHEN_STAFF is ${staff}: expected on or off`);
  return { staff: staff === "on" };
}
