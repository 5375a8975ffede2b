import type { UserEmailChanged } from "../../packages/api/gen/bodega/auth/v1/events_pb.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import type { Message } from "../../packages/service/service.ts";
import { onUserRegistered } from "./on-user-registered.ts";

/** What is queued still goes to the address that it was written for. */
export function onUserEmailChanged(app: App, tx: Tx, messages: Message<UserEmailChanged>[]): Promise<void> {
  return onUserRegistered(app, tx, messages);
}
