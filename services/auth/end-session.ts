import type { MessageShape } from "@bufbuild/protobuf";
import type { EndSessionRequestSchema } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { notFound } from "../../packages/service/errors.ts";
import { isUuid } from "../../packages/time/ids.ts";
import type { AuthConfig } from "./config.ts";
import * as store from "./store.ts";

/** Another's session is as good as none. */
export async function endSession(
  app: App<AuthConfig>,
  { userId }: Caller,
  { sessionId }: MessageShape<typeof EndSessionRequestSchema>,
) {
  const ended =
    isUuid(userId) && (await app.transact(({ sql }) => store.endOwnSession(sql, userId, sessionId, app.clock.now())));
  if (!ended) throw notFound("session", sessionId);
  return {};
}
