import { createHash } from "node:crypto";
import { isMailAddress } from "../../../packages/service/mail-address.ts";
import { type OutgoingMail, undeliverable } from "./transport.ts";

// Mails as bytes on the wire (RFC 5322, 2045, 2047), so that both transports hand over the same ones. What is ASCII stays readable:
// codes, order ids and Message-IDs can be found in the raw mail without decoding.

const LINE_CHARS_MAX = 998;
const QUOTED_CHARS_MAX = 76;
const ENCODED_WORD_BYTES_MAX = 45;

/** The raw mail: a text part, then the same in HTML. */
export function mimeOf({ messageId, from, to, subject, text, html, date }: OutgoingMail): string {
  if (!isMailAddress(to)) throw undeliverable(`the recipient is not a mail address: ${JSON.stringify(to)}`);
  const boundary = `part.${createHash("sha256").update(messageId).digest("base64url")}`;
  const lines = [
    header("From", from),
    header("To", to),
    header("Subject", subject),
    header("Message-ID", messageId),
    header("Date", date.toUTCString().replace("GMT", "+0000")),
    header("Auto-Submitted", "auto-generated"),
    "MIME-Version: 1.0",
    `Content-Type: multipart/alternative; boundary="${boundary}"`,
    "",
    `--${boundary}`,
    ...part("text/plain", text),
    `--${boundary}`,
    ...part("text/html", html),
    `--${boundary}--`,
    "",
  ];
  return lines.join("\r\n");
}

/** The address of `Name <address>` or of a bare address; null when there is none. */
export function addressOf(text: string): string | null {
  const address = /^[^<>\r\n]*<([^<>]+)>$/.exec(text)?.[1] ?? text;
  return isMailAddress(address) ? address : null;
}

/** One header on one line: a line break in a value would begin a header of the writer's choice. */
function header(name: string, value: string): string {
  const line = oneLine(value);
  if (isAscii(line)) return `${name}: ${line}`;
  const named = /^(.*?)\s*(<[^<>]*>)$/.exec(line);
  return named ? `${name}: ${encodedWords(named[1] ?? "")} ${named[2]}` : `${name}: ${encodedWords(line)}`;
}

/** Without line breaks and control characters. */
export function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029\s]+/gu, " ").trim();
}

function encodedWords(text: string): string {
  const words: string[] = [];
  let word = "";
  for (const letter of text) {
    if (Buffer.byteLength(word + letter) > ENCODED_WORD_BYTES_MAX) {
      words.push(word);
      word = "";
    }
    word += letter;
  }
  return [...words, word].map((each) => `=?UTF-8?B?${Buffer.from(each).toString("base64")}?=`).join("\r\n ");
}

function part(type: string, text: string): string[] {
  const lines = text.replace(/\r\n?/g, "\n").replace(/\n$/, "").split("\n");
  const plain = isAscii(text) && lines.every((line) => line.length <= LINE_CHARS_MAX);
  return [
    `Content-Type: ${type}; charset=utf-8`,
    `Content-Transfer-Encoding: ${plain ? "7bit" : "quoted-printable"}`,
    "",
    ...(plain ? lines : lines.map(quotedLine)),
  ];
}

function quotedLine(line: string): string {
  const quoted = Array.from(Buffer.from(line), (byte, index) => {
    const letter = String.fromCharCode(byte);
    return /[!-<>-~]/.test(letter) || (letter === " " && index < Buffer.byteLength(line) - 1)
      ? letter
      : quotedByte(byte);
  });
  let out = "";
  let width = 0;
  for (const token of quoted) {
    if (width + token.length >= QUOTED_CHARS_MAX) {
      out += "=\r\n";
      width = 0;
    }
    out += token;
    width += token.length;
  }
  return out;
}

function quotedByte(byte: number): string {
  return `=${byte.toString(16).toUpperCase().padStart(2, "0")}`;
}

function isAscii(text: string): boolean {
  return /^[\x20-\x7e\r\n\t]*$/.test(text);
}

/** A header as people read it: its encoded words decoded. */
export function decodedHeader(text: string): string {
  return text
    .replace(/(=\?[^?]+\?[bq]\?[^?]*\?=)\s+(?==\?)/gi, "$1")
    .replace(/=\?([^?]+)\?([bq])\?([^?]*)\?=/gi, (_, charset: string, way: string, word: string) => {
      const bytes = way.toLowerCase() === "b" ? Buffer.from(word, "base64") : unquoted(word.replaceAll("_", " "));
      return bytes.toString(/^iso-8859-1$/i.test(charset) ? "latin1" : "utf8");
    });
}

export function decodedBody(body: string, encoding = "7bit"): string {
  if (/^base64$/i.test(encoding)) return Buffer.from(body, "base64").toString("utf8");
  if (/^quoted-printable$/i.test(encoding)) return unquoted(body.replace(/=[ \t]*\r\n/g, "")).toString("utf8");
  return body;
}

function unquoted(text: string): Buffer {
  const raw = Buffer.from(text).toString("latin1");
  return Buffer.from(
    raw.replace(/=([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    "latin1",
  );
}
