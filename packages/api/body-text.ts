import {
  type DescField,
  type DescMessage,
  fromBinary,
  type Message,
  ScalarType,
  toJsonString,
} from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import * as facts from "./facts.ts";
import * as jobs from "./jobs.ts";
import type { Fact, Job } from "./messages.ts";

const messages = new Map<string, Fact | Job>(
  [...Object.values(facts), ...Object.values(jobs)].map((each) => [each.type, each]),
);

/** The body of a fact or job as protobuf JSON, for people to read, without what is secret; empty where it cannot be decoded. */
export function bodyText(type: string, body: Uint8Array): string {
  const message = messages.get(type);
  if (!message) return "";
  try {
    return toJsonString(message.schema, redacted(message.schema, fromBinary(message.schema, body)));
  } catch {
    return ""; // Whoever wants it as it is has the bytes.
  }
}

/** What a secret is shown as. */
const HIDDEN = "[redacted]";

/** The same message with every field that its proto marks with `debug_redact` hidden: codes, passwords, tokens. It is changed in place. */
export function redacted<M extends Message>(schema: DescMessage, message: M): M {
  hideIn(reflect(schema, message));
  return message;
}

function hideIn(message: ReflectMessage): void {
  for (const field of message.fields) {
    if (!message.isSet(field)) continue;
    if (isSecret(field)) hide(message, field);
    else for (const inside of messagesIn(message, field)) hideIn(inside);
  }
}

function isSecret({ proto }: DescField): boolean {
  return proto.options?.debugRedact ?? false;
}

function hide(message: ReflectMessage, field: DescField): void {
  if (field.fieldKind === "scalar" && field.scalar === ScalarType.STRING) message.set(field, HIDDEN);
  else message.clear(field);
}

function messagesIn(message: ReflectMessage, field: DescField): Iterable<ReflectMessage> {
  if (field.fieldKind === "message") return [message.get(field)];
  if (field.fieldKind === "list" && field.listKind === "message") return message.get(field) as Iterable<ReflectMessage>; // A list of this kind holds such.
  if (field.fieldKind === "map" && field.mapKind === "message")
    return message.get(field).values() as Iterable<ReflectMessage>; // And a map.
  return [];
}
