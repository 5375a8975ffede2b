// What a real MailHog was handed, in the words of the books.
import type { CaughtState } from "../chaos/state.ts";

/** What MailHog gives at one time. */
const PAGE = 250;

interface Page {
  total: number;
  items: { Content: { Headers: Record<string, [string, ...string[]]> } }[];
}

export async function caughtBy(mailhog: string): Promise<CaughtState[]> {
  const caught = new Map<string, CaughtState>();
  for (let start = 0, total = 1; start < total; start += PAGE) {
    const answer = await fetch(`${mailhog}/api/v2/messages?start=${start}&limit=${PAGE}`);
    if (!answer.ok) throw new Error(`MailHog answered ${answer.status}`);
    // MailHog's shape.
    const page = (await answer.json()) as Page;
    total = page.total;
    for (const { Content } of page.items) {
      const header = (name: string) => Content.Headers[name]?.[0] ?? "";
      const messageId = header("Message-ID").replace(/^<|>$/g, "");
      const earlier = caught.get(messageId);
      if (earlier) earlier.handOvers += 1;
      else caught.set(messageId, { messageId, recipient: header("To"), subject: header("Subject"), handOvers: 1 });
    }
  }
  return [...caught.values()];
}
