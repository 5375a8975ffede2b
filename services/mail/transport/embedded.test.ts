import { afterAll, beforeAll, expect, test } from "bun:test";
import { createTransport } from "nodemailer";
import { type System, startSystem } from "../../../tests/kit/system.ts";
import { mailTransportContract, type TransportUnderTest } from "./contract.ts";
import { type Catcher, catcherTransport, startCatcher } from "./embedded.ts";
import { smtpTransport } from "./smtp.ts";
import type { MailTransport, OutgoingMail } from "./transport.ts";

const ANY = { mailPort: 0, smtpPort: 0, host: "127.0.0.1" };

interface Message {
  ID: string;
  From: { Relays: null; Mailbox: string; Domain: string; Params: string };
  To: { Mailbox: string; Domain: string }[];
  Content: { Headers: Record<string, string[]>; Body: string; Size: number; MIME: null };
  Created: string;
  MIME: { Parts: { Headers: Record<string, string[]>; Body: string }[] } | null;
  Raw: { From: string; To: string[]; Data: string; Helo: string };
}
interface Page {
  total: number;
  count: number;
  start: number;
  items: Message[];
}

function underTest(transportOf: (system: System, catcher: Catcher) => MailTransport) {
  return async (): Promise<TransportUnderTest> => {
    const system = await startSystem({ services: ["mail"] });
    const catcher = await startCatcher(system.app("mail"), ANY);
    return {
      transport: transportOf(system, catcher),
      async arrived(to) {
        const { items } = await read<Page>(catcher, `/api/v2/search?kind=to&query=${encodeURIComponent(to)}`);
        return items.map(({ Raw, Content }) => ({
          messageId: Content.Headers["Message-ID"]?.[0] ?? "",
          data: Raw.Data,
          from: Raw.From,
          to: Raw.To,
          handOvers: Content.Headers["Received"]?.length ?? 0,
        }));
      },
      async close() {
        await catcher.close();
        await system.close();
      },
    };
  };
}

async function read<T>(catcher: Catcher, path: string): Promise<T> {
  const answer = await fetch(`http://127.0.0.1:${catcher.port}${path}`);
  expect(answer.status).toBe(200);
  return (await answer.json()) as T;
}

mailTransportContract(
  "the catcher",
  underTest((system) => catcherTransport(system.app("mail"))),
);
mailTransportContract(
  "SMTP",
  underTest((_system, catcher) => smtpTransport(`smtp://127.0.0.1:${catcher.smtpPort}`)),
);

let system: System;
let catcher: Catcher;
beforeAll(async () => {
  system = await startSystem({ services: ["mail"] });
  catcher = await startCatcher(system.app("mail"), ANY);
});
afterAll(async () => {
  await catcher.close();
  await system.close();
});

const MAIL: OutgoingMail = {
  messageId: "<refund.1.1@bodega>",
  from: "Bodega <orders@bodega.test>",
  to: "ada@example.test",
  subject: "Refund: Größe <b>",
  text: "EUR 4.50\n",
  html: "<p>EUR 4.50</p><script>alert(1)</script>",
  date: new Date("2026-01-05T08:00:00Z"),
};
const send = (mail: Partial<OutgoingMail>) =>
  catcherTransport(system.app("mail")).send({ ...MAIL, ...mail }, new AbortController().signal);
const at = (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${catcher.port}${path}`, init);

test("a message has MailHog's shape", async () => {
  await send({});
  const { total, count, start, items } = await read<Page>(catcher, "/api/v2/messages");
  const [message] = items;
  expect({ total, count, start }).toEqual({ total: 1, count: 1, start: 0 });
  expect(message).toMatchObject({
    From: { Relays: null, Mailbox: "orders", Domain: "bodega.test", Params: "" },
    To: [{ Relays: null, Mailbox: "ada", Domain: "example.test", Params: "" }],
    Content: {
      Headers: {
        To: ["ada@example.test"],
        "Message-ID": ["<refund.1.1@bodega>"],
        "Return-Path": ["<orders@bodega.test>"],
      },
      MIME: null,
    },
    Raw: { From: "orders@bodega.test", To: ["ada@example.test"], Helo: "bodega" },
  });
  expect(Object.keys(message ?? {}).sort()).toEqual(["Content", "Created", "From", "ID", "MIME", "Raw", "To"]);
  expect(message?.Content.Size).toBe(Buffer.byteLength(message?.Raw.Data ?? ""));
  expect(message?.Content.Body).toContain("\r\nEUR 4.50\r\n");
  expect(message?.MIME?.Parts.map(({ Headers, Body }) => [Headers["Content-Type"]?.[0], Body])).toEqual([
    ["text/plain; charset=utf-8", "EUR 4.50"],
    ["text/html; charset=utf-8", MAIL.html],
  ]);
  expect(await read<Message>(catcher, `/api/v1/messages/${message?.ID}`)).toEqual(message as Message);
  expect(await read<Message[]>(catcher, "/api/v1/messages")).toEqual(items);
});

test("messages are listed newest first, searched by recipient, sender and text, and deleted", async () => {
  await at("/api/v1/messages", { method: "DELETE" });
  for (const n of [1, 2, 3])
    await send({ messageId: `<list.${n}.0@bodega>`, to: `user${n}@example.test`, text: `order number ${n}00%\n` });
  const subjects = async (path: string) =>
    (await read<Page>(catcher, path)).items.map((item) => item.Content.Headers["Message-ID"]?.[0]);
  expect(await subjects("/api/v2/messages")).toEqual(["<list.3.0@bodega>", "<list.2.0@bodega>", "<list.1.0@bodega>"]);
  expect(await subjects("/api/v2/messages?start=1&limit=1")).toEqual(["<list.2.0@bodega>"]);
  expect(await subjects("/api/v2/search?kind=to&query=USER2@")).toEqual(["<list.2.0@bodega>"]);
  expect(await subjects("/api/v2/search?kind=containing&query=NUMBER%20100%25")).toEqual(["<list.1.0@bodega>"]);
  expect(await read<Page>(catcher, "/api/v2/search?kind=from&query=orders@&limit=2")).toMatchObject({
    total: 3,
    count: 2,
    start: 0,
  });
  expect(await subjects("/api/v2/search?kind=to&query=nobody")).toEqual([]);
  expect((await at("/api/v2/search?kind=about&query=x")).status).toBe(400);
  expect((await at("/api/v2/search?kind=to&query=")).status).toBe(400);

  const [newest] = (await read<Page>(catcher, "/api/v2/messages")).items;
  expect((await at(`/api/v1/messages/${newest?.ID}`, { method: "DELETE" })).status).toBe(200);
  expect((await at(`/api/v1/messages/${newest?.ID}`)).status).toBe(404);
  expect(await subjects("/api/v2/messages")).toEqual(["<list.2.0@bodega>", "<list.1.0@bodega>"]);
  expect((await at("/api/v1/messages", { method: "DELETE" })).status).toBe(200);
  expect(await read<Page>(catcher, "/api/v2/messages")).toEqual({ total: 0, count: 0, start: 0, items: [] });
});

test("what comes over SMTP is kept as it came, for all its recipients", async () => {
  const smtp = createTransport({
    host: "127.0.0.1",
    port: catcher.smtpPort,
    auth: { user: "anyone", pass: "anything" },
  });
  const raw = "Subject: hi\r\nX-Note: a\r\n\tb\r\nX-Note: c\r\n\r\nzero \0 byte, caf\u00e9\r\n";
  await smtp.sendMail({ envelope: { from: "", to: ["one@example.test", "two@example.test"] }, raw });
  const [message] = (await read<Page>(catcher, "/api/v2/search?kind=to&query=two@example.test")).items;
  expect(message?.Raw).toMatchObject({ From: "", To: ["one@example.test", "two@example.test"] });
  expect(message?.Content.Headers).toMatchObject({ "X-Note": ["a\tb", "c"], Subject: ["hi"] });
  expect(message?.Content.Headers["Message-ID"]?.[0]).toMatch(/^<[0-9a-f-]{36}@bodega\.test>$/);
  expect(message?.Content.Body).toBe("zero \ufffd byte, caf\u00e9\r\n");
  expect(message?.MIME).toBeNull();
});

test("a mail beyond the size limit is refused and not kept", async () => {
  const smtp = createTransport({ host: "127.0.0.1", port: catcher.smtpPort });
  const raw = `Subject: big\r\n\r\n${`${"x".repeat(1_000)}\r\n`.repeat(11_000)}`;
  const error = await smtp
    .sendMail({ envelope: { from: "a@b.test", to: ["big@example.test"], size: 1 }, raw })
    .catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ responseCode: 552 });
  expect(await read<Page>(catcher, "/api/v2/search?kind=to&query=big@")).toMatchObject({ total: 0 });
});

test("the pages escape what strangers wrote, and a mail's HTML is shut in a sandbox of its own", async () => {
  await at("/api/v1/messages", { method: "DELETE" });
  await send({ text: "Größe <script>\n" });
  const list = await at("/");
  expect(list.headers.get("content-security-policy")).toContain("default-src 'none'");
  expect(await list.text()).toContain("Refund: Größe &lt;b&gt;");
  const [message] = (await read<Page>(catcher, "/api/v2/messages")).items;
  const page = await (await at(`/mails/${message?.ID}`)).text();
  expect(page).toContain("Größe &lt;script&gt;");
  expect(page).toContain('sandbox=""');
  const html = await at(`/mails/${message?.ID}/html`);
  expect(html.headers.get("content-security-policy")).toStartWith("sandbox; default-src 'none';");
  expect(await html.text()).toBe(MAIL.html);
  expect((await at("/mails/nothing")).status).toBe(404);
});

test("a mail server that is away is worth another try, and takes nothing", async () => {
  const gone = await startCatcher(system.app("mail"), ANY);
  await gone.close();
  const sending = smtpTransport(`smtp://127.0.0.1:${gone.smtpPort}`).send(MAIL, new AbortController().signal);
  expect(await sending.catch((error: unknown) => error)).toMatchObject({
    rawMessage: expect.stringContaining("did not take it"),
  });
});
