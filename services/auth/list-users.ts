import type { MessageShape } from "@bufbuild/protobuf";
import type { ListUsersRequestSchema } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { readPage } from "../../packages/service/paging.ts";
import type { AuthConfig } from "./config.ts";
import * as store from "./store.ts";
import { toUser } from "./user.ts";

export async function listUsers(
  app: App<AuthConfig>,
  _caller: Caller,
  req: MessageShape<typeof ListUsersRequestSchema>,
) {
  const { page, nextPageToken } = await readPage(
    req,
    {},
    (after, rowsMax) => store.listUsers(app.sql, after, rowsMax),
    (row) => row.user_id,
  );
  return { users: page.map(toUser), nextPageToken };
}
