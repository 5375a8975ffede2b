/** Environment variables by name. An empty one is an unset one. */
type Variables = Record<string, string | undefined>;

const SECRET_CHARS_MIN = 32;

/** 0 lets the system choose. */
export function readPort(env: Variables, name: string, otherwise: number): number {
  const value = env[name];
  if (!value) return otherwise;
  if (!/^\d{1,5}$/.test(value) || Number(value) > 65_535)
    throw new Error(`${name} must be a port from 0 to 65535, found ${value}`);
  return Number(value);
}

export function readSwitch(env: Variables, name: string, otherwise: boolean): boolean {
  const value = env[name];
  if (!value) return otherwise;
  if (value !== "on" && value !== "off") throw new Error(`${name} must be on or off, found ${value}`);
  return value === "on";
}

/** Undefined when it is unset. The error does not show it. */
export function readSecret(env: Variables, name: string): string | undefined {
  const value = env[name];
  if (!value) return undefined;
  if (value.length < SECRET_CHARS_MIN)
    throw new Error(`${name} must have at least ${SECRET_CHARS_MIN} characters, found ${value.length}`);
  return value;
}
