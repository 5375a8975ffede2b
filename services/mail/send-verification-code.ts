import type { SendVerificationCode } from "../../packages/api/gen/bodega/mail/v1/events_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Message } from "../../packages/service/service.ts";
import { writeCodeMail } from "./code-mail.ts";
import { verificationCode } from "./templates.tsx";

export async function sendVerificationCode(app: App, message: Message<SendVerificationCode>): Promise<void> {
  const { displayName, code, expiresAt } = message.body;
  await writeCodeMail(app, message, "verification_code", verificationCode(displayName, code, expiresAt));
}
