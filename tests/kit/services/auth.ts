// The auth service alone, with somebody who reads the mails and the facts.
import { fromBinary } from "@bufbuild/protobuf";
import type { Client } from "@connectrpc/connect";
import { Code } from "@connectrpc/connect";
import { UserDeleted, UserEmailChanged, UserRegistered, UserVerified } from "../../../packages/api/facts.ts";
import { AuthService, type LoginResponse } from "../../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import type {
  AccountNotice,
  SendVerificationCode as CodeMail,
  SendAccountNotice as NoticeMail,
} from "../../../packages/api/gen/bodega/mail/v1/events_pb.ts";
import {
  SendAccountNotice,
  SendAddressTaken,
  SendPasswordReset,
  SendVerificationCode,
} from "../../../packages/api/jobs.ts";
import { ADDRESS_HEADER } from "../../../packages/service/wire/rpc.ts";
import { refusal as refusalOf } from "../refusal.ts";
import { type System, startSystem } from "../system.ts";

export const PASSWORD = "three brown foxes";

export interface AuthSystem extends System {
  anyone: Client<typeof AuthService>;
  mails: { type: string; body: CodeMail }[];
  facts: { type: string; userId: string }[];
  newEmail(): string;
  /** The newest code mailed to an address. */
  codeFor(email: string): Promise<string>;
  /** What the owner of an address was told of the account, oldest first. */
  noticesTo(email: string): Promise<AccountNotice[]>;
  /** Registered, and not verified; verifies without a ticket, as clients of the first release do. */
  newcomer(): Promise<{ email: string; code: string }>;
  /** Registered and verified. */
  customer(): Promise<{ email: string; userId: string }>;
  /** `from` is the address of a network. */
  login(email: string, password?: string, from?: string): Promise<LoginResponse>;
  /** A customer who is logged in. */
  session(): Promise<{ email: string; userId: string } & LoginResponse>;
}

/** `beside` are services to run beside it. */
export async function startAuth(env: Record<string, string> = {}, beside: string[] = []): Promise<AuthSystem> {
  const system = await startSystem({ services: ["auth", ...beside], env });
  const anyone = system.as("anonymous", AuthService);
  const mails: AuthSystem["mails"] = [];
  const facts: AuthSystem["facts"] = [];
  system.platform.jobs.receive("mail", async (batch) => {
    for (const { type, body } of batch) {
      const job = [SendVerificationCode, SendPasswordReset, SendAddressTaken, SendAccountNotice].find(
        (each) => each.type === type,
      );
      if (!job) throw new Error(`auth sent mail a job ${type}`);
      // All say whom they are to; a notice has no code, which then is undefined.
      const mail = fromBinary(job.schema, body) as CodeMail;
      if (!mail.toNobody) mails.push({ type, body: mail });
    }
  });
  system.platform.events.subscribe("auth-test", ["user"], async (batch) => {
    for (const { type, body } of batch) {
      const fact = [UserRegistered, UserVerified, UserEmailChanged, UserDeleted].find((each) => each.type === type);
      if (!fact) throw new Error(`auth told a fact ${type}`);
      facts.push({ type, userId: fromBinary(fact.schema, body).userId });
    }
  });
  let people = 0;
  const newEmail = () => `person${people++}@example.test`;

  async function codeFor(email: string) {
    await system.settle();
    const mail = mails.findLast(({ body }) => body.email === email && body.code);
    if (!mail) throw new Error(`no code was mailed to ${email}`);
    return mail.body.code;
  }

  async function noticesTo(email: string) {
    await system.settle();
    const sent = mails.filter(({ type, body }) => type === SendAccountNotice.type && body.email === email);
    // Only such a job has that type.
    return sent.map(({ body }) => (body as unknown as NoticeMail).notice);
  }

  async function newcomer() {
    const email = newEmail();
    await anyone.register({ email, password: PASSWORD, displayName: "Ada" });
    return { email, code: await codeFor(email) };
  }

  async function customer() {
    const { email, code } = await newcomer();
    await anyone.verifyEmail({ email, code });
    const [row] = await system.app("auth").sql<{ user_id: string }[]>`select user_id from users where email = ${email}`;
    return { email, userId: row?.user_id ?? "" };
  }

  async function login(email: string, password = PASSWORD, from = "") {
    return anyone.login({ email, password }, { headers: { [ADDRESS_HEADER]: from } });
  }

  async function session() {
    const known = await customer();
    return { ...known, ...(await login(known.email)) };
  }

  return { ...system, anyone, mails, facts, newEmail, codeFor, noticesTo, newcomer, customer, login, session };
}

/** A call with this token, from this address. */
export const bearing = (accessToken: string, from = "") => ({
  headers: { authorization: `Bearer ${accessToken}`, [ADDRESS_HEADER]: from },
});

/** Who a call is refused with, the code by its name. Fails when it is not. */
export async function refusal(call: Promise<unknown>) {
  const { code, reason, retryMs } = await refusalOf(call);
  return { code: Code[code] ?? "", reason, retryMs };
}

export const outcomes = (calls: Promise<unknown>[]) =>
  Promise.allSettled(calls).then((settled) => settled.map(({ status }) => status === "fulfilled"));

/** Six digits that are not these. */
export const otherThan = (code: string) => String((Number(code) + 1) % 1_000_000).padStart(6, "0");
