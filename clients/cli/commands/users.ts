import { create } from "@bufbuild/protobuf";
import {
  AuthService,
  ListUsersResponseSchema,
  Role,
  RoleSchema,
  SetRolesResponseSchema,
  type User,
} from "../../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { PASSWORD_HELP, readPassword } from "../ask.ts";
import type { Group } from "../command-line.ts";
import { Exit } from "../exit.ts";
import { all, userIdOf } from "../names.ts";
import { Problem } from "../problem.ts";
import { register } from "../register.ts";
import { time, word } from "../words.ts";

export const users: Group = (program, at) => {
  const group = program.command("users").description("Accounts and what they may do");

  group
    .command("create")
    .description("Register somebody, and redeem the mailed code")
    .argument("<email>")
    .option("--name <name>", "how the shop calls them; else the address up to its @")
    .option("--password-stdin", PASSWORD_HELP)
    .action(async (email, options) => {
      const shop = at();
      const password = await readPassword(shop, options);
      const user = await register(shop, email, options.name ?? email.replace(/@.*/, ""), password);
      shop.showOwn(user, () => shop.say(`${email} has an account: ${user.userId}. In their name: --as ${email}`));
    });

  group
    .command("verify")
    .description("Redeem a mailed code that could not be redeemed at once")
    .argument("<email>")
    .argument("<code>", "six digits, from the mail")
    .option("--ticket <ticket>", "as users create told", "")
    .action(async (email, code, { ticket }) => {
      const shop = at();
      await shop.anonymous(AuthService).verifyEmail({ email, code, ticket });
      shop.showOwn({ email, verified: true }, () => shop.say(`${email} is verified. Next: bodega login ${email}`));
    });

  group
    .command("list")
    .description("Everybody with an account")
    .action(async () => {
      const shop = at();
      const everybody = await all(
        (page) => shop.call(AuthService).listUsers(page),
        (page) => page.users,
      );
      shop.show(ListUsersResponseSchema, create(ListUsersResponseSchema, { users: everybody }), () =>
        shop.terminal.table(
          ["EMAIL", "NAME", "ROLES", "SINCE", "USER"],
          everybody.map((user) => [user.email, user.displayName, rolesOf(user), time(user.createdAt), user.userId]),
        ),
      );
    });

  group
    .command("roles")
    .description("Replace what a user may do")
    .argument("<user>", "id, address or name")
    .argument("<roles...>", Object.keys(ROLES).join(", "))
    .action(async (user, names) => {
      const shop = at();
      const roles = names.map(roleOf);
      const userId = await userIdOf(shop, user);
      shop.show(SetRolesResponseSchema, await shop.call(AuthService).setRoles({ userId, roles }), (reply) =>
        shop.say(`${reply.user?.email} is now ${reply.user ? rolesOf(reply.user) : ""}, from the next token on.`),
      );
    });
};

const ROLES: Record<string, Role> = { customer: Role.CUSTOMER, kitchen: Role.KITCHEN, admin: Role.ADMIN };

export const rolesOf = (user: User) => user.roles.map((role) => word(RoleSchema, role).toLowerCase()).join(", ");

function roleOf(name: string): Role {
  const role = ROLES[name.toLowerCase()];
  if (role !== undefined) return role;
  throw new Problem(Exit.USAGE, `roles: expected ${Object.keys(ROLES).join(", ")}, found ${name}`);
}
