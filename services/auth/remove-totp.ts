import type { MessageShape } from "@bufbuild/protobuf";
import type { RemoveTotpRequestSchema } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { AccountNotice } from "../../packages/api/gen/bodega/mail/v1/events_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import type { AuthConfig } from "./config.ts";
import * as ticketStore from "./ticket-store.ts";
import { tellOwner, withBothFactors } from "./totp.ts";

export function removeTotp(
  app: App<AuthConfig>,
  caller: Caller,
  req: MessageShape<typeof RemoveTotpRequestSchema>,
  signal: AbortSignal,
) {
  return withBothFactors(app, caller, req, signal, async (tx, user) => {
    await ticketStore.removeTotp(tx.sql, user.user_id);
    tellOwner(app, tx, caller, user, AccountNotice.TOTP_REMOVED);
    return {};
  });
}
