import {
  AuthService,
  ConfirmTotpResponseSchema,
  EnrolTotpResponseSchema,
  RemoveTotpResponseSchema,
  RenewRecoveryCodesResponseSchema,
} from "../../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { CODE_HELP, PASSWORD_HELP, readCode, readPassword } from "../ask.ts";
import type { Group } from "../command-line.ts";
import type { Shop } from "../shop.ts";

export const totp: Group = (program, at) => {
  const group = program.command("totp").description("A second factor for one's own account: an authenticator app");
  group
    .command("enable")
    .description("Make a secret for the app; nothing changes before it is confirmed, within ten minutes")
    .option("--password-stdin", PASSWORD_HELP)
    .action(async (options) => {
      const shop = at();
      const answer = await shop.call(AuthService).enrolTotp({ password: await readPassword(shop, options) });
      shop.show(EnrolTotpResponseSchema, answer, ({ secret, otpauthUri }) => {
        shop.say("Enter this secret in the app, or make a QR code of the address below it:");
        for (const line of [secret, otpauthUri]) shop.say(line);
        shop.say("Then: bodega totp confirm");
      });
    });

  group
    .command("confirm")
    .description("Show a code of the app: from then on a login asks for one")
    .addHelpText("after", CODE_HELP)
    .action(async () => {
      const shop = at();
      const answer = await shop.call(AuthService).confirmTotp({ code: await readCode(shop) });
      shop.show(ConfirmTotpResponseSchema, answer, ({ recoveryCodes }) => sayCodes(shop, recoveryCodes));
    });

  group
    .command("disable")
    .description("A login asks for the password alone again")
    .option("--password-stdin", PASSWORD_HELP)
    .addHelpText("after", CODE_HELP)
    .action(async (options) => {
      const shop = at();
      const password = await readPassword(shop, options);
      const answer = await shop.call(AuthService).removeTotp({ password, code: await readCode(shop) });
      shop.show(RemoveTotpResponseSchema, answer, () => shop.say("The account has no second factor any more."));
    });

  group
    .command("recovery-codes")
    .description("Make new recovery codes; those before are no good any more")
    .option("--password-stdin", PASSWORD_HELP)
    .addHelpText("after", CODE_HELP)
    .action(async (options) => {
      const shop = at();
      const password = await readPassword(shop, options);
      const answer = await shop.call(AuthService).renewRecoveryCodes({ password, code: await readCode(shop) });
      shop.show(RenewRecoveryCodesResponseSchema, answer, ({ recoveryCodes }) => sayCodes(shop, recoveryCodes));
    });
};

function sayCodes(shop: Shop, codes: string[]) {
  shop.say("Keep these where the telephone is not. Each opens one session without the app:");
  for (const code of codes) shop.say(code);
}
