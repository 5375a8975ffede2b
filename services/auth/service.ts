import { AuthService } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { answers, does, service } from "../../packages/service/service.ts";
import { SayNothing } from "./code.ts";
import type { AuthConfig } from "./config.ts";
import { getSigningKeys, prepareKeys, rotateSigningKey } from "./keys.ts";
import { login } from "./login.ts";
import { logout, logoutAll, refresh } from "./refresh.ts";
import { ensureAdmin, register } from "./register.ts";
import { requestPasswordReset, resetPassword } from "./reset-password.ts";
import { getMe, listUsers, setRoles } from "./users.ts";
import { resendVerification, verifyEmail } from "./verify-email.ts";

export const auth = (config: AuthConfig) =>
  service<AuthConfig>({
    name: "auth",
    config,
    migrations: new URL("./migrations/", import.meta.url),
    answers: [
      answers(AuthService, {
        register,
        verifyEmail,
        resendVerification,
        login,
        refresh,
        logout,
        logoutAll,
        requestPasswordReset,
        resetPassword,
        getMe,
        listUsers,
        setRoles,
        getSigningKeys,
        rotateSigningKey,
      }),
    ],
    hears: [],
    does: [does(SayNothing, () => {})],
    async starts(app) {
      await prepareKeys(app);
      await ensureAdmin(app);
    },
  });
