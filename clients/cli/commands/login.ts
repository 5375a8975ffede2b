import { AuthService } from "../../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { CODE_HELP, PASSWORD_HELP, readCode, readPassword } from "../ask.ts";
import type { Group } from "../command-line.ts";
import { Exit } from "../exit.ts";
import { Problem } from "../problem.ts";
import type { Shop } from "../shop.ts";

export const login: Group = (program, at) => {
  program
    .command("login")
    .description("Log in; the session is kept for this user of the machine alone")
    .argument("<email>", "such as admin@bodega.test")
    .option("--password-stdin", PASSWORD_HELP)
    .addHelpText("after", CODE_HELP)
    .action(async (email, options) => {
      const shop = at();
      const password = await readPassword(shop, options);
      await shop.sessions.keep(email, await logIn(shop, email, password));
      shop.showOwn({ email, url: shop.url }, () => shop.say(`Logged in to ${shop.url} as ${email}.`));
    });

  program
    .command("logout")
    .description("End the session here, or all of one's sessions everywhere")
    .option("--everywhere", "also on other machines")
    .action(async ({ everywhere }) => {
      const shop = at();
      const email = shop.as ?? (await shop.sessions.current());
      if (email === undefined) throw new Problem(Exit.NOT_ALLOWED, "nobody is logged in here", "bodega login EMAIL");
      if (everywhere) await shop.call(AuthService).logoutAll({});
      const refreshToken = await shop.sessions.forget(email);
      if (refreshToken !== undefined) await shop.anonymous(AuthService).logout({ refreshToken });
      shop.showOwn({ email, url: shop.url }, () => shop.say(`${email} is logged out of ${shop.url}.`));
    });

  program
    .command("whoami")
    .description("Whose session commands use, and what others there are")
    .action(async () => {
      const shop = at();
      const { user } = await shop.call(AuthService).getMe({});
      const sessions = await shop.sessions.emails();
      shop.showOwn({ email: user?.email ?? "", userId: user?.userId ?? "", url: shop.url, sessions }, (who) => {
        shop.say(`${who.email} (${who.userId}) at ${who.url}`);
        for (const email of sessions) if (email !== who.email) shop.say(`also logged in: ${email}, with --as`);
      });
    });
};

/** With a code where the account has a second factor. */
async function logIn(shop: Shop, email: string, password: string) {
  const auth = shop.anonymous(AuthService);
  const answer = await auth.login({ email, password });
  if (!answer.challenge) return answer;
  return auth.completeLogin({ challenge: answer.challenge, code: await readCode(shop) });
}
