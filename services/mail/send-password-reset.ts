import type { SendPasswordReset } from "../../packages/api/gen/bodega/mail/v1/events_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Message } from "../../packages/service/service.ts";
import { writeCodeMail } from "./code-mail.ts";
import { passwordReset } from "./templates.tsx";

export async function sendPasswordReset(app: App, message: Message<SendPasswordReset>): Promise<void> {
  const { displayName, code, expiresAt } = message.body;
  await writeCodeMail(app, message, "password_reset", passwordReset(displayName, code, expiresAt));
}
