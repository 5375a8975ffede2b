// What a copy's mail catcher has caught.

/** As many as the catcher gives at once: MailHog's usual fifty are soon old ones. */
const MAILS_MAX = 250;
const LOOK_MS = 50;
/** Where everything starts at once on a busy machine, a first mail takes its time. */
const CODE_MS_MAX = 120_000;

export interface Mail {
  id: string;
  subject: string;
  text: string;
}

/** Newest first. */
export async function mailsTo(catcher: string, email: string): Promise<Mail[]> {
  const reply = await fetch(`${catcher}/api/v2/search?kind=to&query=${encodeURIComponent(email)}&limit=${MAILS_MAX}`);
  if (!reply.ok) throw new Error(`the mail catcher at ${catcher} answered ${reply.status}`);
  // MailHog's shape, which the catcher promises.
  const { items } = (await reply.json()) as {
    items: { ID: string; Content: { Headers: { Subject: [string] }; Body: string } }[];
  };
  return items.map(({ ID, Content }) => ({ id: ID, subject: Content.Headers.Subject[0], text: Content.Body }));
}

/** The code of the newest mail to an address, as soon as there is one. */
export async function codeFor(catcher: string, email: string): Promise<string> {
  for (const end = performance.now() + CODE_MS_MAX; performance.now() < end; await Bun.sleep(LOOK_MS)) {
    const code = codeIn((await mailsTo(catcher, email))[0]?.text ?? "");
    if (code) return code;
  }
  throw new Error(`no code came to ${email} within ${CODE_MS_MAX / 1_000} s`);
}

/** The six digits stand on a line of their own. */
export function codeIn(text: string): string | undefined {
  return /^(\d{6})\r?$/m.exec(text)?.[1];
}
