import type { App } from "../../packages/service/app.ts";
import type { AuthConfig } from "./config.ts";
import { publicKeys } from "./keys.ts";

export async function getSigningKeys(app: App<AuthConfig>) {
  return { jwks: JSON.stringify({ keys: await publicKeys(app) }) };
}
