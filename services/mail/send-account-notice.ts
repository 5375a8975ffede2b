import { AccountNotice, type SendAccountNotice } from "../../packages/api/gen/bodega/mail/v1/events_pb.ts";
import type { App } from "../../packages/service/app.ts";
import { invalidField, notFound } from "../../packages/service/errors.ts";
import type { Message } from "../../packages/service/service.ts";
import { compose } from "./mail.ts";
import { accountNotice } from "./templates.tsx";

interface Words {
  subject: string;
  what: string;
}

export const NOTICES: Partial<Record<AccountNotice, Words>> = {
  [AccountNotice.PASSWORD_CHANGED]: {
    subject: "Your password was changed",
    what: "Your password was changed, and everybody else who was logged in is no longer.",
  },
  [AccountNotice.NEW_NETWORK]: {
    subject: "A login from a new network",
    what: "Somebody logged in to your account from a network that it was never used from.",
  },
  [AccountNotice.EMAIL_CHANGED]: {
    subject: "Your mail address was changed",
    what: "Your account has another mail address now. This is the last mail to this one.",
  },
  [AccountNotice.DELETED]: {
    subject: "Your account was deleted",
    what: "Your account was deleted. What the shop must keep of your orders no longer names you.",
  },
  [AccountNotice.TOTP_ENABLED]: {
    subject: "A second factor for your account",
    what: "From now on a login wants a code of your authenticator app, and everybody else who was logged in is no longer.",
  },
  [AccountNotice.TOTP_REMOVED]: {
    subject: "Your account has no second factor any more",
    what: "From now on a login wants the password alone.",
  },
  [AccountNotice.RECOVERY_CODES_RENEWED]: {
    subject: "New recovery codes",
    what: "New recovery codes were made for your account. Those from before are no good any more.",
  },
  [AccountNotice.RECOVERY_CODE_USED]: {
    subject: "A recovery code was used",
    what: "Somebody logged in to your account with its password and one of its recovery codes.",
  },
  [AccountNotice.SECOND_FACTOR_GUESSED]: {
    subject: "Somebody has your password",
    what: "Somebody entered your right password, and then one wrong code after another. Choose another password now.",
  },
  [AccountNotice.PASSKEY_ADDED]: {
    subject: "A new passkey for your account",
    what: "A passkey was added to your account. It opens the account by itself, without the password.",
  },
  [AccountNotice.PASSKEY_REMOVED]: {
    subject: "A passkey was removed",
    what: "A passkey of your account was removed. It opens nothing any more, and whoever was logged in with it is no longer.",
  },
  [AccountNotice.PASSKEY_COPIED]: {
    subject: "A passkey of yours may have been copied",
    what: "A login with one of your passkeys was refused, because it had been used more often before: there may be two of it. Remove it now, and add another one.",
  },
};

export async function sendAccountNotice(app: App, { body, tx }: Message<SendAccountNotice>): Promise<void> {
  if (body.notice === AccountNotice.UNSPECIFIED) throw invalidField("notice", "is missing");
  const said = NOTICES[body.notice];
  // Of a newer auth, most likely: the newer mail that comes with it finds it waiting.
  if (!said) throw notFound("account notice", String(body.notice));
  const about = { template: "account_notice", subjectId: body.noticeId, step: 0, orderId: null } as const;
  const letter = accountNotice(body.displayName, said, body.network, body.at);
  await compose(app, tx, [{ tx, ...about, recipient: body.email, letter }]);
}
