import { AuthService } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { forDays, forever, until } from "../../packages/database/retention.ts";
import { answers, service } from "../../packages/service/service.ts";
import type { Environment } from "../../packages/service/variables.ts";
import { beginPasskeyLogin } from "./begin-passkey-login.ts";
import { beginPasskeyRegistration } from "./begin-passkey-registration.ts";
import { blockUser } from "./block-user.ts";
import { changeEmail } from "./change-email.ts";
import { changePassword } from "./change-password.ts";
import { completeLogin } from "./complete-login.ts";
import { completePasskeyLogin } from "./complete-passkey-login.ts";
import { type AuthConfig, readConfig } from "./config.ts";
import { confirmTotp } from "./confirm-totp.ts";
import { deleteAccount } from "./delete-account.ts";
import { endSession } from "./end-session.ts";
import { enrolTotp } from "./enrol-totp.ts";
import { ensureAdmin } from "./ensure-admin.ts";
import { finishPasskeyRegistration } from "./finish-passkey-registration.ts";
import { getMe } from "./get-me.ts";
import { getRoles } from "./get-roles.ts";
import { getSigningKeys } from "./get-signing-keys.ts";
import { prepareKeys } from "./keys.ts";
import { listPasskeys } from "./list-passkeys.ts";
import { listSessions } from "./list-sessions.ts";
import { listSigningKeys } from "./list-signing-keys.ts";
import { listUsers } from "./list-users.ts";
import { login } from "./login.ts";
import { logout } from "./logout.ts";
import { logoutAll } from "./logout-all.ts";
import { refresh } from "./refresh.ts";
import { register } from "./register.ts";
import { removePasskey } from "./remove-passkey.ts";
import { removeTotp } from "./remove-totp.ts";
import { renewRecoveryCodes } from "./renew-recovery-codes.ts";
import { requestPasswordReset } from "./request-password-reset.ts";
import { resendVerification } from "./resend-verification.ts";
import { resetPassword } from "./reset-password.ts";
import { revokeSigningKey } from "./revoke-signing-key.ts";
import { rotateSigningKey } from "./rotate-signing-key.ts";
import { setRoles } from "./set-roles.ts";
import { unblockUser } from "./unblock-user.ts";
import { verifyEmail } from "./verify-email.ts";

export const auth = (env: Environment) =>
  service<AuthConfig>({
    name: "auth",
    config: readConfig(env),
    migrations: new URL("./migrations/", import.meta.url),
    keeps: [
      forever("users", "whoever is registered"),
      forDays(1, "tickets", { column: "expires_at" }, "after its end nothing is proven with it"),
      forDays(2, "code_mails", { column: "sent_at" }, "mails are counted by the day"),
      forDays(1, "sessions", { column: "expires_at" }, "ended ones are known again until they would have expired"),
      until("refresh_tokens", "their session goes", "a token that was used is known again"),
      forDays(180, "known_networks", { column: "seen_at" }, "then a network is strange again"),
      until("totp_secrets", "the second factor is removed, or another made", "codes are checked with them"),
      until("recovery_codes", "they are used or renewed", "each is good once"),
      forDays(1, "login_challenges", { column: "expires_at" }, "after its end no code opens anything with it"),
      until("passkeys", "they are removed, or their user is", "logins are checked with them"),
      forDays(1, "passkey_challenges", { column: "expires_at" }, "after its end no passkey opens anything with it"),
      until("signing_keys", "no token of theirs is valid", "tokens are checked with them"),
      forever("root_secret", "one row"),
    ],
    answers: [
      answers(AuthService, {
        register,
        verifyEmail,
        resendVerification,
        login,
        completeLogin,
        refresh,
        logout,
        logoutAll,
        requestPasswordReset,
        resetPassword,
        changePassword,
        changeEmail,
        enrolTotp,
        confirmTotp,
        removeTotp,
        renewRecoveryCodes,
        beginPasskeyRegistration,
        finishPasskeyRegistration,
        beginPasskeyLogin,
        completePasskeyLogin,
        listPasskeys,
        removePasskey,
        deleteAccount,
        listSessions,
        endSession,
        getMe,
        listUsers,
        setRoles,
        blockUser,
        unblockUser,
        getRoles,
        getSigningKeys,
        listSigningKeys,
        revokeSigningKey,
        rotateSigningKey,
      }),
    ],
    hears: [],
    does: [],
    made: ["ADMIN_PASSWORD"],
    banner: ({ adminEmail, adminPassword }, fresh) => [
      ["Admin", fresh.includes("ADMIN_PASSWORD") ? `${adminEmail}  ${adminPassword}` : adminEmail],
    ],
    realTime: true,
    async starts(app) {
      await prepareKeys(app);
      await ensureAdmin(app);
    },
  });
