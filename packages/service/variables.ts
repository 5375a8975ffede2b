/** Environment variables by name. An empty one is an unset one. */
export type Environment = Record<string, string | undefined>;

const SECRET_CHARS_MIN = 32;

/** 0 lets the system choose. */
export function readPort(env: Environment, name: string, otherwise: number): number {
  const value = env[name];
  if (!value) return otherwise;
  if (!/^\d{1,5}$/.test(value) || Number(value) > 65_535)
    throw new Error(`${name} must be a port from 0 to 65535, found ${value}`);
  return Number(value);
}

export function readCount(env: Environment, name: string, otherwise: number): number {
  const value = env[name];
  if (!value) return otherwise;
  if (!/^[1-9]\d{0,8}$/.test(value))
    throw new Error(`${name} must be a whole number from 1 to 999999999, found ${value}`);
  return Number(value);
}

export function readSwitch(env: Environment, name: string, otherwise: boolean): boolean {
  const value = env[name];
  if (!value) return otherwise;
  if (value !== "on" && value !== "off") throw new Error(`${name} must be on or off, found ${value}`);
  return value === "on";
}

/** Undefined when it is unset. The error does not show it. */
export function readSecret(env: Environment, name: string): string | undefined {
  const value = env[name];
  if (!value) return undefined;
  if (value.length < SECRET_CHARS_MIN)
    throw new Error(`${name} must have at least ${SECRET_CHARS_MIN} characters, found ${value.length}`);
  return value;
}

/** An http or https URL that others are put behind, so without a slash at its end; it may have a path. */
export function readBaseUrl(env: Environment, name: string, otherwise: string): string {
  const url = withoutCredentials(name, env[name] || otherwise);
  if (!URL.canParse(url) || !/^https?:\/\/[^?#]*[^/?#]$/.test(url))
    throw new Error(`${name} must be an http or https URL without a slash at its end, found ${url}`);
  return url;
}

/** For addresses that are shown and logged. The error does not show it. */
export function withoutCredentials(name: string, url: string): string {
  if (/^[^/?#]*\/\/[^/?#]*@/.test(url)) throw new Error(`${name} must hold no user and no password`);
  return url;
}

/** The path of a base URL: empty, or such as /shop. */
export function basePathOf(url: string): string {
  return new URL(url).pathname.replace(/\/$/, "");
}

const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** Milliseconds of a duration such as 500ms, 5s or 2m; undefined when it is unset. */
export function readDuration(env: Environment, name: string, msMin: number): number | undefined {
  const value = env[name];
  if (!value) return undefined;
  const [, count = "", unit = ""] = /^(\d{1,6})(ms|s|m|h)$/.exec(value) ?? [];
  // The pattern lets only these units through.
  const ms = Number(count) * (UNIT_MS[unit as keyof typeof UNIT_MS] ?? Number.NaN);
  if (!(ms >= msMin)) throw new Error(`${name} must be a duration such as 5s, of at least ${msMin}ms, found ${value}`);
  return ms;
}
