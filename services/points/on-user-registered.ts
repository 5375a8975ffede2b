import type { UserRegistered } from "../../packages/api/gen/bodega/auth/v1/events_pb.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import type { Message } from "../../packages/service/service.ts";
import { uuid } from "../../packages/service/uuid.ts";
import { insertEmptyAccounts } from "./store.ts";

/** A user has an account from the beginning on, with nothing in it. Who has earned something before it was heard has one already. */
export async function onUserRegistered(_app: App, tx: Tx, messages: Message<UserRegistered>[]): Promise<void> {
  await insertEmptyAccounts(
    tx.sql,
    messages.map(({ body }) => uuid("user_id", body.userId)),
  );
}
