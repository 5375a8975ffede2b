import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { AuthService } from "../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { median, table } from "./figures.ts";
import { transport } from "./people.ts";
import type { Stack } from "./stack.ts";

/** Of pairs whose sides do the same work, either is slower in about half; more than this many standard deviations away is no chance. */
export const DEVIATIONS_MAX = 4;
/** Of the tries. */
const LOST_MAX = 0.05;
/** As long as a caller is told to wait. */
const REST_MS = 1_000;
const PASSWORD = "a long enough password";

interface Timing {
  rpc: string;
  /** Medians. */
  there: number;
  notThere: number;
  /** Pairs in which the account that is there took longer. */
  slower: number;
  pairs: number;
  deviations: number;
}

/**
 * Whatever a stranger may ask about an address, for addresses that have an account and for ones that have none, in turn: who measures must not tell them
 * apart. Each address is asked about once by each RPC, so that no throttle answers; the RPC that leaves a registration behind comes last.
 */
export async function accountTiming(stack: Stack, tries: number, only = "") {
  await makeAccounts(stack, tries);
  const auth = createClient(AuthService, transport(stack));
  const asked: Record<string, (email: string) => Promise<unknown>> = {
    RequestPasswordReset: (email) => auth.requestPasswordReset({ email }),
    ResendVerification: (email) => auth.resendVerification({ email }),
    "VerifyEmail, wrong": (email) => refused(Code.InvalidArgument, auth.verifyEmail({ email, code: "471109" })),
    "ResetPassword, wrong": (email) =>
      refused(Code.InvalidArgument, auth.resetPassword({ email, code: "471109", newPassword: PASSWORD })),
    "Login, wrong": (email) => refused(Code.Unauthenticated, auth.login({ email, password: PASSWORD })),
    Register: (email) => auth.register({ email, password: PASSWORD, displayName: "Somebody" }),
    "Login, as registered": (email) => refused(Code.FailedPrecondition, auth.login({ email, password: PASSWORD })),
  };
  const timings: Timing[] = [];
  for (const [rpc, ask] of Object.entries(asked)) {
    if (!rpc.includes(only)) continue;
    const timing = await timed(rpc, ask, tries);
    // The whole takes long.
    process.stderr.write(`${rowOf(timing).join("  ")}\n`);
    timings.push(timing);
  }
  const rows = timings.map(rowOf);
  const heads = ["", "account p50 ms", "none p50 ms", "account slower", "deviations from chance"];
  const text = `What time tells of who has an account, ${tries} tries a side\n${table(heads, rows)}`;
  return { timings, deviations: Math.max(...timings.map(({ deviations }) => deviations)), text };
}

function rowOf({ rpc, there, notThere, slower, pairs, deviations }: Timing): string[] {
  return [rpc, there.toFixed(2), notThere.toFixed(2), `${slower} of ${pairs}`, deviations.toFixed(1)];
}

const emailOf = (side: "there" | "notThere", index: number) => `${side}${index}@bench.test`.toLowerCase();

/** As if they had registered and verified; nobody knows their passwords. */
async function makeAccounts(stack: Stack, count: number): Promise<void> {
  const emails = Array.from({ length: count }, (_, index) => emailOf("there", index));
  const { sql } = stack.database("auth");
  await sql`
    insert into users (user_id, email, display_name, password_hash, roles, created_at, verified_at)
    select uuidv7(), email, 'Somebody', admin.password_hash, array['ROLE_CUSTOMER'], admin.created_at, admin.created_at
    from unnest(${emails}::text[]) email, (select password_hash, created_at from users where 'ROLE_ADMIN' = any(roles) limit 1) admin`;
  // A table that has just grown so much is read differently until it was looked through.
  await sql`analyze users`;
}

async function timed(rpc: string, ask: (email: string) => Promise<unknown>, tries: number): Promise<Timing> {
  const took = { there: [] as number[], notThere: [] as number[] };
  let lost = 0;
  for (let index = 0; index < tries; index++) {
    // Each side comes as often first as second, and as often after either side.
    const sides = index % 2 ? (["there", "notThere"] as const) : (["notThere", "there"] as const);
    const pair = { there: 0, notThere: 0 };
    try {
      for (const side of sides) {
        const started = performance.now();
        await ask(emailOf(side, index));
        pair[side] = performance.now() - started;
      }
    } catch (error) {
      // A machine that is overloaded answers neither side now and then: that pair says nothing.
      if (ConnectError.from(error).code !== Code.Unavailable || ++lost > tries * LOST_MAX) throw error;
      await Bun.sleep(REST_MS);
      continue;
    }
    took.there.push(pair.there);
    took.notThere.push(pair.notThere);
  }
  const pairs = took.there.length;
  const slower = took.there.filter((ms, at) => ms > (took.notThere[at] ?? 0)).length;
  const deviations = Math.abs(slower - pairs / 2) / (Math.sqrt(pairs) / 2);
  return { rpc, there: median(took.there), notThere: median(took.notThere), slower, pairs, deviations };
}

/** A refusal of another kind takes another time. */
async function refused(code: Code, asking: Promise<unknown>): Promise<void> {
  const error = await asking.then(
    () => undefined,
    (error: unknown) => ConnectError.from(error),
  );
  if (error?.code !== code) throw error ?? new Error(`expected a refusal with ${Code[code]}, found an answer`);
}
