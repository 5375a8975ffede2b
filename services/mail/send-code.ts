import type { SendPasswordReset, SendVerificationCode } from "../../packages/api/gen/bodega/mail/v1/events_pb.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { invalidField } from "../../packages/service/errors.ts";
import { compose } from "./mail.ts";
import { passwordReset, verificationCode } from "./templates.tsx";

const CODE = /^\d{6}$/;

export async function sendVerificationCode(app: App, tx: Tx, body: SendVerificationCode): Promise<void> {
  checkCode(body);
  const letter = verificationCode(body.displayName, body.code, body.expiresAt);
  const about = { template: "verification_code", subjectId: body.codeId, step: 0, orderId: null } as const;
  await compose(app, tx, [{ cause: body, ...about, recipient: body.email, letter, holdsCode: true }]);
}

export async function sendPasswordReset(app: App, tx: Tx, body: SendPasswordReset): Promise<void> {
  checkCode(body);
  const letter = passwordReset(body.displayName, body.code, body.expiresAt);
  const about = { template: "password_reset", subjectId: body.codeId, step: 0, orderId: null } as const;
  await compose(app, tx, [{ cause: body, ...about, recipient: body.email, letter, holdsCode: true }]);
}

function checkCode({ code, codeId }: { code: string; codeId: string }) {
  // The code itself stays out of the message.
  if (!CODE.test(code)) throw invalidField("code", `is not six digits, in code ${codeId}`);
}
