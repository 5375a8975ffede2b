// Bugs of auth.
import type { Mutant } from "./mutant.ts";

export const AUTH: Mutant[] = [
  {
    name: "auth: a refresh token is good twice",
    file: "services/auth/refresh.ts",
    find: "    if (!token.rotated_at) {",
    replace: "    if (true) {",
    tests: ["services/auth/login.test.ts"],
  },
  {
    name: "auth: a passkey's challenge is not spent",
    file: "services/auth/passkeys/store.ts",
    find: "    delete from passkey_challenges where challenge_hash = ${challenge_hash} and purpose = ${purpose}\n      and",
    replace:
      "    select * from passkey_challenges where challenge_hash = ${challenge_hash} and purpose = ${purpose}\n      and",
    tests: ["services/auth/passkeys/attacks.test.ts"],
  },
  {
    name: "auth: a passkey need not verify its user",
    file: "services/auth/passkeys/passkeys.ts",
    find: "      requireUserVerification: true,\n      credential:",
    replace: "      requireUserVerification: false,\n      credential:",
    tests: ["services/auth/passkeys/attacks.test.ts"],
  },
  {
    name: "auth: a session that a password opened has the power of the passkey beside it",
    file: "services/auth/refresh.ts",
    find: "session.passkey_id !== null",
    replace: "true",
    tests: ["services/auth/passkeys/passkeys.test.ts"],
  },
];
