import type { App } from "../../packages/service/app.ts";
import { audit } from "../../packages/service/audit.ts";
import type { Caller } from "../../packages/service/caller.ts";
import type { AuthConfig } from "./config.ts";
import * as store from "./key-store.ts";
import { generateKey, PUBLISHED_MS, sealedRow, TAIL_MS } from "./keys.ts";

/**
 * The standby key takes over and a new one is made public, so that no verifier meets a key it could not know. A standby younger than a minute
 * takes over when the minute is full.
 */
export async function rotateSigningKey(app: App<AuthConfig>, caller: Caller) {
  const standby = await generateKey(app);
  const kid = await app.transact(async (tx) => {
    const { sql } = tx;
    await store.lockKeys(sql);
    const now = app.clock.now();
    const promoted = await store.promoteStandby(sql, now);
    if (!promoted) throw new Error("there is no standby signing key: the first start makes one");
    await store.insertKeys(sql, [
      await sealedRow(app, sql, standby, { usable_from: new Date(now.getTime() + PUBLISHED_MS), signs_from: null }),
    ]);
    await store.deleteKeysOver(sql, new Date(now.getTime() - TAIL_MS));
    audit(app, tx, caller, { subject: promoted });
    return promoted;
  });
  app.log.info("signing-key.rotated", { kid, actor: caller.userId });
  return { kid };
}
