import {
  type AnyDesc,
  type DescEnum,
  type DescField,
  type DescMessage,
  getOption,
  isFieldSet,
  ScalarType,
} from "@bufbuild/protobuf";
import {
  type FieldRules,
  Ignore,
  RepeatedRulesSchema,
  type StringRules,
  StringRulesSchema,
  field as validation,
} from "../../../packages/api/gen/buf/validate/validate_pb.ts";
import { COMMENTS } from "../../../packages/api/gen/comments.ts";

export type Json = { [key: string]: JsonItem };
type JsonItem = string | number | boolean | null | JsonItem[] | { [key: string]: JsonItem };

/** JSON Schemas of messages and all they refer to, by full name. */
export function collectSchemas(messages: DescMessage[], found: Record<string, Json> = {}): Record<string, Json> {
  for (const message of messages) {
    if (WELL_KNOWN[message.typeName] || found[message.typeName]) continue;
    found[message.typeName] = {};
    found[message.typeName] = { ...describe(commentOf(message)), ...objectSchema(message.fields, []) };
    collectSchemas(
      message.fields.flatMap((field) => (field.message ? [field.message] : [])),
      found,
    );
  }
  return found;
}

/** `optional` names fields that have another way in. */
export function objectSchema(fields: readonly DescField[], optional: string[]): Json {
  const required = fields
    .filter((field) => isRequired(field) && !optional.includes(field.name))
    .map((field) => field.jsonName);
  return {
    type: "object",
    properties: Object.fromEntries(fields.map((field) => [field.jsonName, schemaOf(field)])),
    ...(required.length > 0 && { required }),
  };
}

export function schemaOf(field: DescField): Json {
  const { description, ...shape } = shapeOf(field);
  return { ...describe(commentOf(field), description), ...shape };
}

/** What the proto says of it; nothing if it says nothing. */
export function commentOf(part: AnyDesc): string | undefined {
  return COMMENTS[String(part)];
}

/** Paragraphs of CommonMark, as OpenAPI has it. */
export function describe(...paragraphs: (JsonItem | undefined)[]): Json {
  const said = paragraphs.filter(Boolean);
  return said.length > 0 ? { description: said.join("\n\n") } : {};
}

function shapeOf(field: DescField): Json {
  const rules = getOption(field, validation);
  if (field.fieldKind === "map") return { type: "object" };
  if (field.fieldKind === "list") {
    const list = rules.type.case === "repeated" ? rules.type.value : undefined;
    const has = (name: "minItems" | "maxItems") =>
      list !== undefined && isFieldSet(list, RepeatedRulesSchema.field[name]);
    return {
      type: "array",
      items: itemSchema(field, list?.items),
      ...(list && has("minItems") && { minItems: Number(list.minItems) }),
      ...(list && has("maxItems") && { maxItems: Number(list.maxItems) }),
      ...(list?.unique && { uniqueItems: true }),
    };
  }
  return itemSchema(field, rules);
}

function itemSchema({ message, enum: named, scalar }: DescField, rules: FieldRules | undefined): Json {
  if (message) return WELL_KNOWN[message.typeName] ?? { $ref: `#/components/schemas/${message.typeName}` };
  if (named) return enumSchema(named, rules);
  return { ...SCALARS[scalar ?? ScalarType.STRING], ...ruleSchema(rules) };
}

function enumSchema(named: DescEnum, rules: FieldRules | undefined): Json {
  const not: readonly number[] = rules?.type.case === "enum" ? rules.type.value.notIn : [];
  const values = named.values.filter(({ number }) => !not.includes(number));
  const explained = values.filter(commentOf).map((value) => `- \`${value.name}\`: ${commentOf(value)}`);
  return {
    type: "string",
    enum: values.map(({ name }) => name),
    ...describe(commentOf(named), explained.join("\n")),
  };
}

function ruleSchema(rules: FieldRules | undefined): Json {
  switch (rules?.type.case) {
    case "string":
      return stringSchema(rules.type.value, rules.ignore === Ignore.IF_ZERO_VALUE);
    case "int32":
    case "uint32":
    case "double": {
      const { greaterThan, lessThan } = rules.type.value;
      return {
        ...(greaterThan.case === "gte" && { minimum: greaterThan.value }),
        ...(greaterThan.case === "gt" && { exclusiveMinimum: greaterThan.value }),
        ...(lessThan.case === "lte" && { maximum: lessThan.value }),
        ...(lessThan.case === "lt" && { exclusiveMaximum: lessThan.value }),
      };
    }
    case "int64":
    case "uint64": {
      // 64-bit integers are strings in JSON, so their bounds can only be told.
      const { greaterThan, lessThan } = rules.type.value;
      const bounds = [greaterThan, lessThan].flatMap(({ case: word, value }) =>
        word === undefined ? [] : [`${SIGNS[word]} ${value}`],
      );
      return bounds.length > 0 ? { description: bounds.join(" and ") } : {};
    }
    default:
      return {};
  }
}

const SIGNS = { gt: ">", gte: "≥", lt: "<", lte: "≤" };

function stringSchema(rules: StringRules, emptyIsUnset: boolean): Json {
  const has = (name: "minLen" | "maxLen" | "pattern") => isFieldSet(rules, StringRulesSchema.field[name]);
  const format = rules.wellKnown.case === "uuid" || rules.wellKnown.case === "email" ? rules.wellKnown.case : undefined;
  return {
    ...(has("minLen") && { minLength: Number(rules.minLen) }),
    ...(has("maxLen") && { maxLength: Number(rules.maxLen) }),
    ...(has("pattern") && { pattern: rules.pattern }),
    ...(format && !emptyIsUnset && { format }),
  };
}

/** Whether the rules refuse a message without the field. */
function isRequired(field: DescField): boolean {
  const rules = getOption(field, validation);
  if (rules.required) return true;
  if (rules.ignore === Ignore.IF_ZERO_VALUE || field.proto.proto3Optional) return false;
  if (rules.type.case === "repeated") return rules.type.value.minItems > 0n;
  if (rules.type.case !== "string") return false;
  return (
    rules.type.value.minLen > 0n || rules.type.value.pattern !== "" || rules.type.value.wellKnown.case !== undefined
  );
}

const WELL_KNOWN: Record<string, Json> = {
  "google.protobuf.Timestamp": { type: "string", format: "date-time" },
  "google.protobuf.Duration": { type: "string", pattern: "^-?[0-9]+(\\.[0-9]{1,9})?s$" },
};

const integer: Json = { type: "integer", format: "int32" };
const long: Json = { type: "string", format: "int64" };
const unsignedLong: Json = { type: "string", format: "uint64" };
const number: Json = { type: "number" };
const SCALARS: Record<ScalarType, Json> = {
  [ScalarType.DOUBLE]: number,
  [ScalarType.FLOAT]: number,
  [ScalarType.INT64]: long,
  [ScalarType.UINT64]: unsignedLong,
  [ScalarType.INT32]: integer,
  [ScalarType.FIXED64]: unsignedLong,
  [ScalarType.FIXED32]: integer,
  [ScalarType.BOOL]: { type: "boolean" },
  [ScalarType.STRING]: { type: "string" },
  [ScalarType.BYTES]: { type: "string", contentEncoding: "base64" },
  [ScalarType.UINT32]: integer,
  [ScalarType.SFIXED32]: integer,
  [ScalarType.SFIXED64]: long,
  [ScalarType.SINT32]: integer,
  [ScalarType.SINT64]: long,
};
