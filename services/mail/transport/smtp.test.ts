import { afterEach, expect, test } from "bun:test";
import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { refusal } from "../../../tests/kit/refusal.ts";
import { smtpTransport } from "./smtp.ts";

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

const MAIL = {
  ...{ messageId: "<1@bodega>", from: "shop@bodega.test", to: "ann@example.test" },
  ...{ subject: "Hello", text: "Hello", html: "<p>Hello</p>", date: new Date(0) },
};

/** For good: the mail fails. Everything else waits, and goes out once somebody has mended it. */
const FOR_GOOD = "MAIL_REFUSED";
const NOT_NOW = "MAIL_NOT_ACCEPTED_YET";

test.each([
  ["RCPT", "550 5.1.1 no such mailbox", FOR_GOOD],
  ["RCPT", "552 5.2.2 mailbox full", FOR_GOOD],
  ["RCPT", "550 no such user here", FOR_GOOD],
  ["END", "554 5.6.0 cannot be converted", FOR_GOOD],
  ["END", "552 message too large", FOR_GOOD],
  ["MAIL", "550 5.7.1 not authenticated", NOT_NOW],
  ["MAIL", "554 sender rejected", NOT_NOW],
  ["MAIL", "553 5.1.8 sender domain does not exist", NOT_NOW],
  ["MAIL", "530 5.7.0 authentication required", NOT_NOW],
  ["RCPT", "550 5.7.1 relaying denied", NOT_NOW],
  ["RCPT", "503 5.5.1 bad sequence of commands", NOT_NOW],
  ["RCPT", "530 authentication required", NOT_NOW],
  ["RCPT", "450 4.2.1 try again later", NOT_NOW],
  ["END", "550 5.7.1 blocked by policy", NOT_NOW],
  ["END", "554 5.3.4 system full", NOT_NOW],
])("what is answered to %s with %s", async (command, answer, reason) => {
  const port = await serverThatAnswers(command, answer);
  const sending = smtpTransport(`smtp://127.0.0.1:${port}`).send(MAIL, new AbortController().signal);
  expect((await refusal(sending)).reason).toBe(reason);
});

test("a server that does not take the login is a matter of how we are set up", async () => {
  const port = await serverThatAnswers("AUTH", "535 5.7.8 credentials invalid");
  const sending = smtpTransport(`smtp://shop:wrong@127.0.0.1:${port}`).send(MAIL, new AbortController().signal);
  expect((await refusal(sending)).reason).toBe(NOT_NOW);
});

/** Takes everything but one command; END is the dot after the text. */
async function serverThatAnswers(command: string, answer: string): Promise<number> {
  const server = createServer((socket) => {
    let inText = false;
    socket.write("220 test ESMTP\r\n");
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk) => {
      for (const line of chunk.toString().split("\r\n").filter(Boolean)) {
        if (inText && line !== ".") continue;
        const said = inText ? "END" : (line.split(/[ :]/)[0] ?? "").toUpperCase();
        inText = said === "DATA";
        const usual = { EHLO: "250-test\r\n250 AUTH PLAIN", DATA: "354 go on", QUIT: "221 bye" }[said] ?? "250 ok";
        socket.write(`${said === command ? answer : usual}\r\n`);
      }
    });
  });
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return typeof address === "object" && address ? address.port : 0;
}
