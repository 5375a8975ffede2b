export interface ProductConfig {
  /** Whether the first start makes demo products. */
  demo: boolean;
}

export function readConfig(env: Record<string, string | undefined>): ProductConfig {
  return { demo: onOrOff("DEMO", env["DEMO"] ?? "on") };
}

function onOrOff(name: string, value: string): boolean {
  if (value !== "on" && value !== "off") throw new Error(`${name} must be on or off, found ${value}`);
  return value === "on";
}
