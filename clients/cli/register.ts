// A new account, from its registration to its first session.
import { AuthService } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { typed } from "./ask.ts";
import { codeFor } from "./catcher.ts";
import { Exit } from "./exit.ts";
import { Problem } from "./problem.ts";
import type { Shop } from "./shop.ts";

/** Its session is kept beside the one in use. */
export async function register(shop: Shop, email: string, displayName: string, password: string) {
  const auth = shop.anonymous(AuthService);
  const caught = await codeFor(shop, email);
  const { userId, ticket } = await auth.register({ email, password, displayName });
  const code = caught ? await caught() : await askForCode(shop, email, ticket);
  await auth.verifyEmail({ email, code, ticket });
  const isFirst = (await shop.sessions.current()) === undefined;
  await shop.sessions.keep(email, await auth.login({ email, password }), isFirst);
  return { userId, email, displayName };
}

async function askForCode(shop: Shop, email: string, ticket: string): Promise<string> {
  if (shop.stdin.isTTY === true) return (await typed(shop, `Code mailed to ${email}: `, true)).trim();
  throw new Problem(
    Exit.USAGE,
    `a code was mailed to ${email}, and there is no terminal to ask for it at`,
    `bodega users verify ${email} CODE --ticket ${ticket}`,
  );
}
