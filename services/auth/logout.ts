import type { MessageShape } from "@bufbuild/protobuf";
import type { LogoutRequestSchema } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import type { AuthConfig } from "./config.ts";
import { hashToken } from "./session.ts";
import * as store from "./store.ts";

/** Answers alike for tokens that are none: who logs out wants nothing more. */
export async function logout(
  app: App<AuthConfig>,
  _caller: Caller,
  { refreshToken }: MessageShape<typeof LogoutRequestSchema>,
) {
  await app.transact(async ({ sql }) => {
    const session = await store.lockSession(sql, hashToken(refreshToken));
    if (session && !session.ended_at) await store.endSession(sql, session.session_id, "LOGOUT", app.clock.now());
  });
  return {};
}
