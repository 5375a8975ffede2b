import type { SendPasswordReset, SendVerificationCode } from "../../packages/api/gen/bodega/mail/v1/events_pb.ts";
import type { App } from "../../packages/service/app.ts";
import { invalidField } from "../../packages/service/errors.ts";
import type { Message } from "../../packages/service/service.ts";
import { compose, type Template } from "./mail.ts";
import type { Letter } from "./templates.tsx";

const CODE = /^\d{6}$/;

/** A mail that holds a code: its text is not kept once it is done with. */
export async function writeCodeMail(
  app: App,
  { body, tx }: Message<SendVerificationCode | SendPasswordReset>,
  template: Template,
  letter: Letter,
): Promise<void> {
  // The code itself stays out of the message.
  if (!CODE.test(body.code)) throw invalidField("code", `is not six digits, in code ${body.codeId}`);
  if (body.toNobody) return;
  const about = { template, subjectId: body.codeId, step: 0, orderId: null };
  await compose(app, tx, [{ tx, ...about, recipient: body.email, letter, holdsCode: true }]);
}
