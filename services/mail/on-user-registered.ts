import type { UserRegistered } from "../../packages/api/gen/bodega/auth/v1/events_pb.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { invalidField } from "../../packages/service/errors.ts";
import { isMailAddress } from "../../packages/service/mail-address.ts";
import type { Message } from "../../packages/service/service.ts";
import { uuid } from "../../packages/service/uuid.ts";
import { saveContacts } from "./store.ts";

type Told = Pick<UserRegistered, "userId" | "email" | "displayName">;

/** Whom to write to. */
export async function onUserRegistered(_app: App, tx: Tx, messages: Message<Told>[]): Promise<void> {
  const contacts = messages.map(({ body: { userId, email, displayName } }) => {
    if (!isMailAddress(email)) throw invalidField("email", `is not a mail address, of user ${userId}`);
    return { user_id: uuid("user_id", userId), email, display_name: displayName };
  });
  await saveContacts(tx.sql, contacts);
}
