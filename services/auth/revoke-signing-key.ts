import type { MessageShape } from "@bufbuild/protobuf";
import type { RevokeSigningKeyRequestSchema } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import type { App } from "../../packages/service/app.ts";
import { audit } from "../../packages/service/audit.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { notFound } from "../../packages/service/errors.ts";
import type { AuthConfig } from "./config.ts";
import * as store from "./key-store.ts";
import { generateKey, PUBLISHED_MS, sealedRow } from "./keys.ts";

/** Verifiers drop the key with their next look at the key set, and with it the tokens that they remember. */
export async function revokeSigningKey(
  app: App<AuthConfig>,
  caller: Caller,
  { kid, reason }: MessageShape<typeof RevokeSigningKeyRequestSchema>,
) {
  const standby = await generateKey(app);
  const current = await app.transact(async (tx) => {
    const { sql } = tx;
    await store.lockKeys(sql);
    const now = app.clock.now();
    const done = await store.revokeKey(sql, kid, reason, now);
    if (done === "unknown") throw notFound("signing key", kid);
    if (done === "revoked") audit(app, tx, caller, { subject: kid, reason });
    await store.hurryNextKey(sql, now);
    const times = { usable_from: new Date(now.getTime() + PUBLISHED_MS), signs_from: null };
    if (!(await store.hasStandby(sql))) await store.insertKeys(sql, [await sealedRow(app, sql, standby, times)]);
    return store.readCurrentKey(sql, now);
  });
  if (!current) throw new Error(`no signing key is left after ${kid} was revoked`);
  app.log.warn("signing-key.revoked", { kid, reason, actor: caller.userId, signs: current.kid });
  return { kid: current.kid };
}
