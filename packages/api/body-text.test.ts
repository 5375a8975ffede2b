import { expect, test } from "bun:test";
import { create, type DescField, type DescMessage, toBinary } from "@bufbuild/protobuf";
import { bodyText, redacted } from "./body-text.ts";
import * as facts from "./facts.ts";
import { LoginResponseSchema, ResetPasswordRequestSchema } from "./gen/bodega/auth/v1/auth_pb.ts";
import * as jobs from "./jobs.ts";
import { SendVerificationCode } from "./jobs.ts";

test("a code in a job is hidden from whoever reads what is parked", () => {
  const { schema, type } = SendVerificationCode;
  const body = toBinary(schema, create(schema, { userId: "ann", email: "ann@example.test", code: "471109" }));
  expect(JSON.parse(bodyText(type, body))).toEqual({ userId: "ann", email: "ann@example.test", code: "[redacted]" });
});

test("so are passwords, tokens and tickets, and nothing else", () => {
  const asked = { email: "ann@example.test", code: "471109", newPassword: "three brown foxes", ticket: "opaque" };
  expect(redacted(ResetPasswordRequestSchema, create(ResetPasswordRequestSchema, asked))).toMatchObject({
    ...{ email: "ann@example.test", code: "[redacted]", newPassword: "[redacted]", ticket: "[redacted]" },
  });
  const answer = create(LoginResponseSchema, { accessToken: "a.b.c", expiresAt: { seconds: 5n } });
  expect(redacted(LoginResponseSchema, answer)).toMatchObject({
    ...{ accessToken: "[redacted]", refreshToken: "", expiresAt: { seconds: 5n } },
  });
});

test("whatever a fact or job calls a code, a password, a token or a secret is marked as one", () => {
  const telling = /(^|_)(code|password|token|ticket|secret)$/;
  /** Of currencies, and of tickets in the kitchen. */
  const harmless = /^(currency_code)$/;
  const fieldsOf = (schema: DescMessage, seen = new Set<DescMessage>()): DescField[] => {
    if (seen.has(schema)) return [];
    seen.add(schema);
    return schema.fields.flatMap((field) => [field, ...(field.message ? fieldsOf(field.message, seen) : [])]);
  };
  const messages = [...Object.values(facts), ...Object.values(jobs)];
  const open = messages
    .flatMap(({ schema }) => fieldsOf(schema))
    .filter(({ name, message }) => telling.test(name) && !harmless.test(name) && !message)
    .filter(({ proto }) => !proto.options?.debugRedact);
  expect(open.map((field) => `${field.parent.typeName}.${field.name}`)).toEqual([]);
});
