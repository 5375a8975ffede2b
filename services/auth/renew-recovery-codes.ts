import type { MessageShape } from "@bufbuild/protobuf";
import type { RenewRecoveryCodesRequestSchema } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { AccountNotice } from "../../packages/api/gen/bodega/mail/v1/events_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import type { AuthConfig } from "./config.ts";
import * as ticketStore from "./ticket-store.ts";
import { hashRecoveryCode, newRecoveryCodes, tellOwner, withBothFactors } from "./totp.ts";

export function renewRecoveryCodes(
  app: App<AuthConfig>,
  caller: Caller,
  req: MessageShape<typeof RenewRecoveryCodesRequestSchema>,
  signal: AbortSignal,
) {
  return withBothFactors(app, caller, req, signal, async (tx, user) => {
    const recoveryCodes = newRecoveryCodes(app);
    await ticketStore.saveRecoveryCodes(tx.sql, user.user_id, recoveryCodes.map(hashRecoveryCode));
    tellOwner(app, tx, caller, user, AccountNotice.RECOVERY_CODES_RENEWED);
    return { recoveryCodes };
  });
}
