import type { UserDeleted } from "../../packages/api/gen/bodega/auth/v1/events_pb.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import type { Message } from "../../packages/service/service.ts";
import { uuid } from "../../packages/service/uuid.ts";
import { forgetContacts } from "./store.ts";

/** That there were mails, and what about, is kept with the orders; to whom and what they said is not. Later facts of the user's orders are mailed to nobody. */
export async function onUserDeleted(_app: App, tx: Tx, messages: Message<UserDeleted>[]): Promise<void> {
  await forgetContacts(
    tx.sql,
    messages.map(({ body: { userId } }) => uuid("user_id", userId)),
  );
}
