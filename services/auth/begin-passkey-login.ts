import type { MessageShape } from "@bufbuild/protobuf";
import type { BeginPasskeyLoginRequestSchema } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import type { AuthConfig } from "./config.ts";
import { issueChallenge, passkeysOn, requestOptions } from "./passkeys/passkeys.ts";
import { throttlePasskeys } from "./throttle.ts";

export async function beginPasskeyLogin(
  app: App<AuthConfig>,
  { network }: Caller,
  _req: MessageShape<typeof BeginPasskeyLoginRequestSchema>,
) {
  const passkeys = passkeysOn(app);
  await throttlePasskeys(app, network);
  const { challenge, expiresAt } = await app.transact((tx) => issueChallenge(app, tx, null));
  return { options: await requestOptions(passkeys, challenge), challenge, expiresAt };
}
