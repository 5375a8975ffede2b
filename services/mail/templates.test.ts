import { expect, test } from "bun:test";
import { create } from "@bufbuild/protobuf";
import { AccountNoticeSchema } from "../../packages/api/gen/bodega/mail/v1/events_pb.ts";
import { MoneySchema } from "../../packages/api/gen/bodega/type/v1/money_pb.ts";
import { readConfig } from "./config.ts";
import { NOTICES } from "./send-account-notice.ts";
import { money } from "./templates.tsx";
import { decodedBody, decodedHeader, mimeOf } from "./transport/mime.ts";

test("amounts have their currency's digits and lose none of theirs", () => {
  const text = (currencyCode: string, minorUnits: bigint) =>
    money(create(MoneySchema, { currencyCode, minorUnits }), "total");
  expect(text("EUR", 450n)).toBe("EUR 4.50");
  expect(text("EUR", 5n)).toBe("EUR 0.05");
  expect(text("EUR", -450n)).toBe("-EUR 4.50");
  expect(text("JPY", 450n)).toBe("JPY 450");
  expect(text("KWD", 1_234_567n)).toBe("KWD 1,234.567");
  expect(text("USD", 9_223_372_036_854_775_807n)).toBe("USD 92,233,720,368,547,758.07");
  expect(() => text("eur", 1n)).toThrow("total");
  expect(() => money(undefined, "total")).toThrow("missing");
});

test("each notice about an account has words of its own", () => {
  const told = AccountNoticeSchema.values
    .slice(1)
    .map(({ number }) => NOTICES[number as keyof typeof NOTICES]?.subject);
  expect(told).not.toContain(undefined);
  expect(new Set(told).size).toBe(told.length);
});

test("whatever a subject and a text are, they come out of the mail as they went in", () => {
  const odd = [
    "plain",
    "Größe — 日本語 ".repeat(20).trim(),
    "a = b =3D ?=",
    "x".repeat(3_000),
    `${"é".repeat(50)} end`,
    "trailing space ",
  ];
  for (const text of odd) {
    const data = mimeOf({
      messageId: "<a@b>",
      from: "Bödega <a@b.test>",
      to: "c@d.test",
      subject: text,
      text,
      html: `<p>${text}</p>`,
      date: new Date(0),
    });
    for (const line of data.split("\r\n"))
      expect(line.length).toBeLessThanOrEqual(998 + "Subject: ".length + 3_000 * Number(line.startsWith("Subject: x")));
    const [head = "", ...body] = data.split("\r\n\r\n");
    const subject = /^Subject: ([\s\S]*?)\r\nMessage-ID/m.exec(head)?.[1] ?? "";
    expect(decodedHeader(subject)).toBe(text.trim());
    const [partHead = "", partBody = ""] = [body[0], body[1]?.split("\r\n--part.")[0]];
    expect(decodedBody(partBody, /Encoding: (.*)$/m.exec(partHead)?.[1]?.trim())).toBe(text);
    expect(head).toContain("From: =?UTF-8?B?QsO2ZGVnYQ==?= <a@b.test>");
  }
});

test("the configuration says what is wrong with it, and keeps passwords to itself", () => {
  const ports = { mailPort: 8025, smtpPort: 1025, mailHost: "127.0.0.1", catcher: true };
  expect(readConfig({})).toEqual({ smtpUrl: null, from: "Bodega <orders@bodega.test>", ...ports });
  expect(readConfig({ SMTP_URL: "smtps://u:p@mail.test:465", MAIL_FROM: "shop@mail.test", MAIL_PORT: "0" })).toEqual({
    smtpUrl: "smtps://u:p@mail.test:465",
    from: "shop@mail.test",
    mailPort: 0,
    smtpPort: 1025,
    mailHost: "127.0.0.1",
    catcher: true,
  });
  expect(readConfig({ SMTP_URL: "smtp://mail.test", HOST: "0.0.0.0" })).toMatchObject({ catcher: false });
  expect(() => readConfig({ SMTP_URL: "http://u:secret@mail.test" })).toThrow(/^SMTP_URL (?!.*secret)/);
  expect(() => readConfig({ MAIL_FROM: "Bodega" })).toThrow("MAIL_FROM");
});
