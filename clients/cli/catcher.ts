// The mail catcher of a shop on this machine, where codes can be read instead of typed.
import { Exit } from "./exit.ts";
import { Problem } from "./problem.ts";
import type { Shop } from "./shop.ts";

const LOOK_MS = 100;
const CODE_MS_MAX = 20_000;
const LOOPBACK = /^https?:\/\/(?:127\.0\.0\.1|localhost|\[::1\])(?::|$)/;

/** BODEGA_CATCHER, or the one that `bun dev` opens beside a shop on this machine. */
export function catcherOf({ env, url }: Pick<Shop, "env" | "url">): string | undefined {
  if (env["BODEGA_CATCHER"]) return env["BODEGA_CATCHER"].replace(/\/+$/, "");
  return LOOPBACK.test(url) ? `http://127.0.0.1:${env["MAIL_PORT"] || 8025}` : undefined;
}

/** Called before a mail is asked for; then waits for the code in the mail that comes. Undefined where there is no catcher. */
export async function codeFor(shop: Shop, email: string): Promise<(() => Promise<string>) | undefined> {
  const catcher = catcherOf(shop);
  const before = catcher && (await mailsTo(catcher, email));
  if (!catcher || !before) return undefined;
  const known = new Set(before.map(({ ID }) => ID));
  return async () => {
    for (const end = performance.now() + CODE_MS_MAX; performance.now() < end; await Bun.sleep(LOOK_MS)) {
      const mail = (await mailsTo(catcher, email))?.find(({ ID }) => !known.has(ID));
      if (!mail) continue;
      const code = /^(\d{6})\r?$/m.exec(mail.Content.Body)?.[1];
      if (code) return code;
      throw new Problem(
        Exit.REFUSED,
        `no code came to ${email}, but a mail: ${mail.Content.Headers.Subject[0]}`,
        `if the address has an account already: bodega login ${email}`,
      );
    }
    throw new Problem(Exit.TRY_LATER, `no code came to ${email} in ${CODE_MS_MAX / 1_000} s`, "bodega mails");
  };
}

interface Caught {
  ID: string;
  Content: { Headers: { Subject: [string] }; Body: string };
}

/** Newest first; undefined when there is no catcher at this address. */
async function mailsTo(catcher: string, email: string): Promise<Caught[] | undefined> {
  try {
    const signal = AbortSignal.timeout(CODE_MS_MAX);
    const answer = await fetch(`${catcher}/api/v2/search?kind=to&query=${encodeURIComponent(email)}`, { signal });
    return answer.ok ? ((await answer.json()) as { items: Caught[] }).items : undefined; // MailHog's shape.
  } catch {
    return undefined; // Nobody is there: then a person reads the mail.
  }
}
