// The rows of AuthService in access-table.ts.
import { authenticator } from "../kit/authenticator.ts";
import type { Row } from "./access-rows.ts";
import type { Shop } from "./shop.ts";

/** Where the shop's pages are that ask for passkeys: PASSKEY_ORIGINS. */
export const PASSKEYS_AT = "https://shop.example";
const NO_OPTIONS = JSON.stringify({ challenge: "none" });
const email = (shop: Shop) => `${shop.fresh()}@bodega.test`;
const PASSWORD = "a long enough password";

export const AUTH_ACCESS: Record<string, Row> = {
  "AuthService.Register": {
    who: "anyone",
    request: (shop) => ({ email: email(shop), password: PASSWORD, displayName: "New" }),
  },
  "AuthService.VerifyEmail": {
    who: "anyone",
    request: (shop) => ({ email: email(shop), code: "123456" }),
    refusal: "CODE_INVALID",
  },
  "AuthService.ResendVerification": { who: "anyone", request: (shop) => ({ email: email(shop) }) },
  "AuthService.Login": {
    who: "anyone",
    request: () => ({ email: "admin@bodega.test", password: "correct horse battery" }),
  },
  "AuthService.CompleteLogin": {
    who: "anyone",
    request: () => ({ challenge: "none", code: "123456" }),
    refusal: "CHALLENGE_INVALID",
  },
  "AuthService.Refresh": { who: "anyone", request: ({ refreshToken }) => ({ refreshToken }) },
  "AuthService.Logout": { who: "anyone", request: (shop) => ({ refreshToken: shop.fresh() }) },
  "AuthService.LogoutAll": { who: "signed in", request: () => ({}) },
  "AuthService.RequestPasswordReset": { who: "anyone", request: (shop) => ({ email: email(shop) }) },
  "AuthService.ResetPassword": {
    who: "anyone",
    request: (shop) => ({ email: email(shop), code: "123456", newPassword: PASSWORD }),
    refusal: "CODE_INVALID",
  },
  "AuthService.ChangePassword": {
    who: "signed in",
    request: () => ({ oldPassword: "not this one", newPassword: PASSWORD }),
    refusal: "CREDENTIALS_INVALID",
  },
  "AuthService.ChangeEmail": {
    who: "signed in",
    request: (shop) => ({ newEmail: email(shop), password: "not this one" }),
    refusal: "CREDENTIALS_INVALID",
  },
  "AuthService.EnrolTotp": {
    who: "signed in",
    request: () => ({ password: "not this one" }),
    refusal: "CREDENTIALS_INVALID",
  },
  "AuthService.ConfirmTotp": {
    who: "signed in",
    request: () => ({ code: "123456" }),
    refusal: "TOTP_NOT_ENROLLED",
  },
  "AuthService.RemoveTotp": {
    who: "signed in",
    request: () => ({ password: "not this one", code: "123456" }),
    refusal: "TOTP_NOT_ENABLED",
  },
  "AuthService.RenewRecoveryCodes": {
    who: "signed in",
    request: () => ({ password: "not this one", code: "123456" }),
    refusal: "TOTP_NOT_ENABLED",
  },
  "AuthService.BeginPasskeyRegistration": {
    who: "signed in",
    request: () => ({ password: "not this one" }),
    refusal: "CREDENTIALS_INVALID",
  },
  "AuthService.FinishPasskeyRegistration": {
    who: "signed in",
    request: () => ({ challenge: "none", credential: authenticator(PASSKEYS_AT).create(NO_OPTIONS), name: "Key" }),
    refusal: "CHALLENGE_INVALID",
  },
  "AuthService.BeginPasskeyLogin": { who: "anyone", request: () => ({}) },
  "AuthService.CompletePasskeyLogin": {
    who: "anyone",
    request: () => ({
      challenge: "none",
      credential: authenticator(PASSKEYS_AT).get(NO_OPTIONS, { userHandle: "none" }),
    }),
    refusal: "CHALLENGE_INVALID",
  },
  "AuthService.ListPasskeys": { who: "signed in", request: () => ({}) },
  "AuthService.RemovePasskey": {
    who: "signed in",
    request: ({ nobodys }) => ({ passkeyId: nobodys, password: "not this one" }),
    refusal: "PASSKEY_NOT_FOUND",
  },
  "AuthService.DeleteAccount": {
    who: "signed in",
    request: () => ({ password: "not this one" }),
    refusal: "CREDENTIALS_INVALID",
  },
  "AuthService.ListSessions": { who: "signed in", request: () => ({ pageSize: 5 }) },
  "AuthService.EndSession": {
    who: "signed in",
    request: ({ nobodys }) => ({ sessionId: nobodys }),
    refusal: "SESSION_NOT_FOUND",
  },
  "AuthService.GetMe": { who: "signed in", request: () => ({}) },
  "AuthService.ListUsers": { who: "admin", request: () => ({ pageSize: 2 }) },
  "AuthService.SetRoles": {
    who: "admin",
    request: ({ users }) => ({ userId: users.other, roles: ["ROLE_CUSTOMER"] }),
  },
  "AuthService.BlockUser": {
    who: "admin",
    async request({ ask, users }) {
      await ask("auth.v1.AuthService/UnblockUser", { userId: users.other });
      return { userId: users.other, reason: "left" };
    },
  },
  "AuthService.UnblockUser": {
    who: "admin",
    async request({ ask, users }) {
      await ask("auth.v1.AuthService/BlockUser", { userId: users.other, reason: "left" });
      return { userId: users.other };
    },
  },
  "AuthService.GetSigningKeys": { who: "anyone", request: () => ({}) },
  "AuthService.GetRoles": { who: "service", request: ({ users }) => ({ userId: users.other }) },
  "AuthService.RotateSigningKey": { who: "admin", request: () => ({}) },
  "AuthService.ListSigningKeys": { who: "admin", request: () => ({}) },
  "AuthService.RevokeSigningKey": {
    who: "admin",
    async request({ ask }) {
      const { signingKeys } = (await ask("auth.v1.AuthService/ListSigningKeys", {})) as {
        signingKeys: { kid: string; status: string }[];
      }; // ListSigningKeys' own shape.
      const standby = signingKeys.find(({ status }) => status === "SIGNING_KEY_STATUS_STANDBY");
      return { kid: standby?.kid ?? "", reason: "lost" };
    },
  },
};
