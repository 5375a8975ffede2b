import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { SigningKeyStatus } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { AuthConfig } from "./config.ts";
import { type ListedKeyRow, listKeys } from "./key-store.ts";

export async function listSigningKeys(app: App<AuthConfig>) {
  const now = app.clock.now();
  return { signingKeys: (await listKeys(app.sql)).map((row) => toSigningKey(row, now)) };
}

function toSigningKey(row: ListedKeyRow, now: Date) {
  const { kid, signs_from, signs_until, revoked_at, revoked_because } = row;
  return {
    kid,
    status: statusOf(row, now),
    ...(signs_from && { signsFrom: timestampFromDate(signs_from) }),
    ...(signs_until && { signsUntil: timestampFromDate(signs_until) }),
    ...(revoked_at && { revokedAt: timestampFromDate(revoked_at) }),
    reason: revoked_because ?? "",
  };
}

function statusOf({ signs_from, signs_until, revoked_at }: ListedKeyRow, now: Date): SigningKeyStatus {
  if (revoked_at) return SigningKeyStatus.REVOKED;
  if (!signs_from) return SigningKeyStatus.STANDBY;
  return signs_until && signs_until <= now ? SigningKeyStatus.FORMER : SigningKeyStatus.SIGNS;
}
