import { afterAll, beforeAll, describe, expect } from "bun:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { promisesOf } from "../../../tests/kit/promise.ts";
import type { MailTransport, OutgoingMail } from "./transport.ts";

/** What arrived at the far end under one Message-ID. */
export interface Arrived {
  messageId: string;
  /** Raw, as it travelled. */
  data: string;
  from: string;
  to: string[];
  handOvers: number;
}

export interface TransportUnderTest {
  transport: MailTransport;
  /** What the far end has got for an address, newest first. */
  arrived(to: string): Promise<Arrived[]>;
  close(): Promise<void>;
}

/** What every mail transport promises. */
export function mailTransportContract(name: string, open: () => Promise<TransportUnderTest>): void {
  describe(`${name} as a mail transport`, () => {
    const promise = promisesOf("mail transport", name);
    let opened: TransportUnderTest;
    beforeAll(async () => {
      opened = await open();
    });
    afterAll(() => opened.close());

    async function send(
      mail: Partial<OutgoingMail> & { to: string },
      signal = new AbortController().signal,
    ): Promise<Arrived[]> {
      await opened.transport.send({ ...MAIL, ...mail }, signal);
      return opened.arrived(mail.to);
    }

    promise("what it accepts arrives, with its Message-ID, sender and recipient", async () => {
      const [mail, ...others] = await send({ to: "ada@example.test" });
      expect(others).toEqual([]);
      expect(mail).toMatchObject({
        messageId: MAIL.messageId,
        from: "orders@bodega.test",
        to: ["ada@example.test"],
        handOvers: 1,
      });
      expect(mail?.data).toContain("\r\nSubject: Order received: 0190\r\n");
    });

    promise("codes, ids and the Message-ID can be read in the raw mail, the text before the HTML", async () => {
      const [mail] = await send({ to: "raw@example.test", messageId: "<raw.1.0@bodega>" });
      const lines = mail?.data.split("\r\n") ?? [];
      expect(lines).toContain("123456");
      expect(lines).toContain("Message-ID: <raw.1.0@bodega>");
      const [text, html] = ["Content-Type: text/plain; charset=utf-8", "Content-Type: text/html; charset=utf-8"].map(
        (line) => lines.indexOf(line),
      );
      expect(text).toBeGreaterThan(0);
      expect(html).toBeGreaterThan(text ?? 0);
    });

    promise("a code on its own line stays so beside letters that are not ASCII", async () => {
      const [mail] = await send({
        to: "zoe@example.test",
        messageId: "<qp.1.0@bodega>",
        text: "Hello Zoë Škvorecký,\n\n654321\n\n€ 4.50\n",
      });
      expect(mail?.data.split("\r\n")).toContain("654321");
      expect(mail?.data).toContain("Zo=C3=AB");
    });

    promise("a line that begins with a dot arrives with it", async () => {
      const [mail] = await send({
        to: "dot@example.test",
        messageId: "<dot.1.0@bodega>",
        text: "first\n.\n..second\n",
      });
      expect(mail?.data.split("\r\n").slice(-30)).toEqual(expect.arrayContaining(["first", ".", "..second"]));
    });

    promise("a second hand-over arrives under the same Message-ID", async () => {
      await send({ to: "twice@example.test", messageId: "<twice.1.0@bodega>" });
      const mails = await send({ to: "twice@example.test", messageId: "<twice.1.0@bodega>" });
      expect(mails.map(({ messageId, handOvers }) => ({ messageId, handOvers }))).toEqual([
        { messageId: "<twice.1.0@bodega>", handOvers: 2 },
      ]);
    });

    promise("a line break in a subject begins no new header", async () => {
      const [mail] = await send({
        to: "crlf@example.test",
        messageId: "<crlf.1.0@bodega>",
        subject: "Refund\r\nBcc: eve@example.test\r\n\r\nbody",
      });
      expect(mail?.to).toEqual(["crlf@example.test"]);
      expect(mail?.data).toContain("\r\nSubject: Refund Bcc: eve@example.test body\r\n");
      expect(mail?.data).not.toMatch(/^Bcc:/m);
    });

    promise("a recipient that is no address is refused for good", async () => {
      for (const to of ["ada", "a@b.test\r\nRCPT TO:<eve@b.test>", "a@b.test, eve@b.test", "<a@b.test>", ""]) {
        const error = await send({ to }).catch((thrown: unknown) => thrown);
        expect(ConnectError.from(error).code).toBe(Code.InvalidArgument);
      }
    });

    promise("nothing is sent when the time is over already", async () => {
      const error = await send({ to: "late@example.test", messageId: "<late.1.0@bodega>" }, AbortSignal.abort()).catch(
        (thrown: unknown) => thrown,
      );
      expect(error).toBeInstanceOf(Error);
      expect(await opened.arrived("late@example.test")).toEqual([]);
    });
  });
}

const MAIL: OutgoingMail = {
  messageId: "<order_received.0190.0@bodega>",
  from: "Bodega <orders@bodega.test>",
  to: "ada@example.test",
  subject: "Order received: 0190",
  text: "Hello Ada,\n\n123456\n",
  html: "<p>Hello Ada,</p>\n<p>123456</p>\n",
  date: new Date("2026-01-05T08:00:00Z"),
};
