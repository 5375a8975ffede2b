import type { MessageShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { ListSessionsRequestSchema } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { readPage } from "../../packages/service/paging.ts";
import { tokenIdOf } from "../../packages/service/wire/tokens.ts";
import { isUuid } from "../../packages/time/ids.ts";
import type { AuthConfig } from "./config.ts";
import * as store from "./store.ts";

export async function listSessions(
  app: App<AuthConfig>,
  { userId, token }: Caller,
  req: MessageShape<typeof ListSessionsRequestSchema>,
) {
  if (!isUuid(userId)) return { sessions: [], nextPageToken: "" }; // A service: it has none.
  const { page, nextPageToken } = await readPage(
    req,
    { userId },
    (before, rowsMax) => store.openSessions(app.sql, userId, before, rowsMax, app.clock.now()),
    (row) => row.session_id,
  );
  const current = await store.sessionOf(app.sql, userId, tokenIdOf(token));
  const sessions = page.map((row) => ({
    sessionId: row.session_id,
    createdAt: timestampFromDate(row.created_at),
    lastUsedAt: timestampFromDate(row.last_used_at),
    expiresAt: timestampFromDate(row.expires_at),
    network: row.network,
    current: row.session_id === current,
  }));
  return { sessions, nextPageToken };
}
